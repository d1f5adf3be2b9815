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
class MarkdownPage:
    """A Markdown file."""

    path: Path

    @cached_property
    def text(self) -> str:
        """The content of the file."""
        return self.path.read_text()

    def blocks(self, language: str, *, heading: str = "") -> list[str]:
        """Return the code blocks in this language, in order.

        Args:
            language: the language after the opening fence.
            heading: restricts the blocks to the section with this heading of level 2.
        """
        text = self.text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0] if heading else self.text
        return [code for _, named, code in _BLOCK.findall(text) if named == language]

    @cached_property
    def _prose(self) -> str:
        return re.sub(r"`[^`\n]*`", "", _BLOCK.sub("", self.text))

    def links(self) -> list[str]:
        """Return the targets of all links."""
        return _LINK.findall(self._prose)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """The anchors of the headings. Repeated headings are numbered, as on GitHub."""
        headings = re.findall(r"^#{1,6} +(.*?) *$", _BLOCK.sub("", self.text), re.MULTILINE)
        slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
        numbered = (f"{slug}-{slugs[:index].count(slug)}" for index, slug in enumerate(slugs))
        return frozenset(slugs) | frozenset(numbered)


def pages() -> list[MarkdownPage]:
    """Return every Markdown page of the repository outside of hidden folders and of what is generated or installed."""
    found = (path for pattern in ("*.md", "*/*.md", "*/*/*.md", "*/*/*/*.md") for path in ROOT.glob(pattern))
    return [
        MarkdownPage(path)
        for path in sorted(found)
        if not any(part.startswith(".") for part in path.parts[len(ROOT.parts) :])
        and path.relative_to(ROOT).parts[0] != "clients"
    ]


def broken_links(page: MarkdownPage) -> Iterator[str]:
    """Yield the links of a page whose target does not exist. Links to other sites are not checked."""
    for link in page.links():
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        is_page = target.suffix == ".md"
        if not target.exists() or (anchor and is_page and anchor not in MarkdownPage(target).anchors):
            yield link
