"""Checks of the built site: no page loads anything from elsewhere, and the search finds the terms of the domain."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

TERMS = ("budget", "token", "tenant", "webhook", "export", "invoice", "run", "limit", "api key", "quarantine")
"""Terms that a reader searches for."""

_LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
_NOT_LOADED = {"canonical", "alternate", "prev", "next"}
_EXTERNAL = re.compile(r"^(https?:)?//", re.IGNORECASE)
_EXTERNAL_STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)", re.IGNORECASE)


class _Loads(HTMLParser):
    """Collects the addresses that a browser requests for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.external: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the address of one element."""
        values = dict(attrs)
        address = values.get(_LOADED.get(tag, "")) or ""
        if _EXTERNAL.match(address) and values.get("rel") not in _NOT_LOADED:
            self.external.append(address)
        if "mermaid" in (values.get("class") or "").split():
            self.external.append("mermaid (the theme loads it from a CDN)")


def external_requests(folder: Path) -> Iterator[str]:
    """Find the addresses outside of the site that its pages and styles load."""
    for path in sorted(folder.rglob("*.html")):
        loads = _Loads()
        loads.feed(path.read_text())
        yield from (f"{path.relative_to(folder)} loads {address}" for address in loads.external)
    for path in sorted(folder.rglob("*.css")):
        addresses = _EXTERNAL_STYLE.findall(path.read_text())
        yield from (f"{path.relative_to(folder)} loads {address}" for address in addresses)


def terms_not_found(folder: Path) -> list[str]:
    """Return the terms that are in no document of the search index."""
    index = json.loads((folder / "search" / "search_index.json").read_text())
    texts = [f"{document['title']} {document['text']}".lower() for document in index["docs"]]
    return [term for term in TERMS if not any(term in text for text in texts)]


def problems(folder: Path) -> list[str]:
    """Return the problems of a built site, one sentence each."""
    return [*external_requests(folder), *(f"the search does not find {term!r}" for term in terms_not_found(folder))]
