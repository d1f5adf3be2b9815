"""The pages of the site: copies of the repository's Markdown in the same folders, so that links between them hold.

A link to source code becomes the path as text, because the site contains only documents.
"""

import json
import posixpath
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from infra.site.lists import indent_items

Navigation = list[dict[str, "str | Navigation"]]

SECTIONS: Mapping[str, Sequence[str]] = {
    "Home": ("README.md",),
    "Guides": ("docs/README.md", "docs/guides/*.md"),
    "Architecture": (
        "ARCHITECTURE.md",
        "GLOSSARY.md",
        "services/*/README.md",
        "sandbox/stripe/README.md",
        "bench/README.md",
    ),
    "Reference": ("docs/cli.md", "docs/api/*.md", "docs/costs.md"),
    "Decisions": ("docs/decisions/README.md", "docs/decisions/[0-9]*.md"),
    "Project": ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"),
}
"""The tabs of the site, each with its pages as patterns in order."""

FILES = ("docs/api/*.json", "bench/results/*.svg", "LICENSE")
"""Files that pages link to or show."""

_FENCE = re.compile(r"(^[ ]*```.*?^[ ]*```[ ]*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])+)\]\((?P<target>[^()\s]+)\)")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


class BrokenLink(Exception):
    """A page links to a file that does not exist."""


def write_pages(root: Path, folder: Path) -> None:
    """Write all pages and the navigation into an empty folder.

    Raises:
        BrokenLink: see there.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pages = [page for patterns in SECTIONS.values() for page in _matching(root, patterns)]
    files = _matching(root, FILES)
    for page in pages:
        target = folder / "pages" / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(site_text((root / page).read_text(), page, root=root, published={*pages, *files}))
    for file in files:
        target = folder / "pages" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, target)
    config = {"INHERIT": str(root / "mkdocs.yml"), "docs_dir": "pages", "site_dir": "html", "nav": navigation(root)}
    (folder / "mkdocs.yml").write_text(json.dumps(config))  # YAML contains JSON


def navigation(root: Path, sections: Mapping[str, Sequence[str]] = SECTIONS) -> Navigation:
    """Return the navigation in the form of MkDocs; a section with one page is a page."""
    entries: Navigation = []
    for name, patterns in sections.items():
        pages: Navigation = [{_title(root / page): page} for page in _matching(root, patterns)]
        entries.append({name: pages if len(pages) > 1 else next(iter(pages[0].values()))})
    return entries


def site_text(text: str, page: str, *, root: Path, published: set[str]) -> str:
    """Return a page's text for MkDocs; links to source code are replaced by the path.

    Args:
        text: the Markdown in the repository.
        page: its path in the repository.
        root: the repository.
        published: the paths of all files of the site.

    Raises:
        BrokenLink: a target is not in the repository.
    """

    def replace(match: re.Match[str]) -> str:
        path, _, _ = match["target"].partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if target.startswith("..") or not (root / target).exists():
            msg = f"{page} links to {path}, which does not exist"
            raise BrokenLink(msg)
        return match[0] if target in published else _as_text(match["text"], target)

    parts = _FENCE.split(indent_items(text))
    return "".join(part if index % 2 else _LINK.sub(replace, part) for index, part in enumerate(parts))


def _as_text(text: str, target: str) -> str:
    return f"`{target}`" if text.strip("`") in target else f"{text} (`{target}`)"


def _matching(root: Path, patterns: Sequence[str]) -> list[str]:
    return list(_found(root, patterns))


def _found(root: Path, patterns: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            yield str(PurePosixPath(path.relative_to(root)))


def _title(path: Path) -> str:
    found = _TITLE.search(path.read_text())
    return found[1] if found else path.stem
