"""Pages of Markdown as GitHub reads them: their blocks, links and anchors."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infra.bundle.target import ROOT

GUIDES = ROOT / "docs" / "guides"
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Page:
    """One file."""

    path: Path

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    def blocks(self, language: str, *, below: str = "") -> list[str]:
        """The code in this language, in order.

        Args:
            language: as it stands behind the fence.
            below: a heading; only what stands after it, and before the next one of its level.
        """
        text = self.text.partition(f"\n## {below}\n")[2].partition("\n## ")[0] if below else self.text
        return [code for _, named, code in _BLOCK.findall(text) if named == language]

    @cached_property
    def _prose(self) -> str:
        return re.sub(r"`[^`\n]*`", "", _BLOCK.sub("", self.text))

    def links(self) -> list[str]:
        """Where its links lead."""
        return _LINK.findall(self._prose)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What can be linked to in it; a heading that stands twice is numbered."""
        headings = re.findall(r"^#{1,6} +(.*?) *$", _BLOCK.sub("", self.text), re.MULTILINE)
        slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
        again = (f"{slug}-{slugs[:place].count(slug)}" for place, slug in enumerate(slugs))
        return frozenset(slugs) | frozenset(again)


def pages() -> list[Page]:
    """Every page of the repository that is kept."""
    found = (path for pattern in ("*.md", "*/*.md", "*/*/*.md", "*/*/*/*.md") for path in ROOT.glob(pattern))
    return [
        Page(path) for path in sorted(found) if not any(part.startswith(".") for part in path.parts[len(ROOT.parts) :])
    ]


def broken(page: Page) -> Iterator[str]:
    """Links of a page that lead nowhere; what lies outside of the repository is not asked."""
    for link in page.links():
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.path.parent / place).resolve() if place else page.path
        is_page = target.suffix == ".md"
        if not target.exists() or (anchor and is_page and anchor not in Page(target).anchors):
            yield link
