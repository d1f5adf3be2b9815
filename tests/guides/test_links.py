"""Links within the repository have an existing target."""

from pathlib import Path

import pytest

from infra.bundle.target import ROOT
from tests.guides.page import MarkdownPage, broken_links, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.path.relative_to(ROOT)))
def test_has_no_broken_links(page: MarkdownPage) -> None:
    assert list(broken_links(page)) == []


def test_every_document_is_linked_to() -> None:
    linked = {
        (page.path.parent / link.partition("#")[0]).resolve()
        for page in pages()
        for link in page.links()
        if not link.startswith(("http", "#"))
    }
    documents = {page.path for page in pages() if ROOT / "docs" in page.path.parents} - {ROOT / "docs" / "README.md"}
    assert documents - linked == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[one](two.md)", ["two.md"]),
        ("[one](#two)", ["#two"]),
        ("[one](page.md#three)", ["page.md#three"]),
        ("# One\n[one](#one) [two](page.md#one) `[three](four.md)`", []),
        ("# One\n# One\n[two](#one-1)", []),
        ("```sh\n[one](two.md)\n```", []),
    ],
)
def test_detects_broken_links(tmp_path: Path, text: str, found: list[str]) -> None:
    path = tmp_path / "page.md"
    path.write_text(text)
    assert list(broken_links(MarkdownPage(path))) == found
