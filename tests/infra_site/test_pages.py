"""The pages of the site, and their links."""

from pathlib import Path

import pytest

from infra.local.paths import ROOT
from infra.site.lists import indent_items
from infra.site.pages import FILES, SECTIONS, BrokenLink, navigation, site_text, write_pages


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "README.md": "# Home",
        "docs/guides/first.md": "# First steps",
        "docs/guides/second.md": "# Next steps",
        "services/runs/api.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


class TestSiteText:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("see [the page](second.md#part)", "see [the page](second.md#part)"),
            ("see [the API](../../services/runs/api.py)", "see the API (`services/runs/api.py`)"),
            ("see [runs/api.py](../../services/runs/api.py)", "see `services/runs/api.py`"),
            ("see [`services/runs`](../../services/runs)", "see `services/runs`"),
            ("see [below](#part)", "see [below](#part)"),
            ("see [AWS](https://aws.amazon.com)", "see [AWS](https://aws.amazon.com)"),
            ("```\n[a](missing.md)\n```", "```\n[a](missing.md)\n```"),
        ],
    )
    def test_keeps_links_to_documents_and_names_source_code(self, root: Path, text: str, expected: str) -> None:
        published = {"docs/guides/first.md", "docs/guides/second.md"}
        assert site_text(text, "docs/guides/first.md", root=root, published=published) == expected

    @pytest.mark.parametrize("target", ["missing.md", "../../missing.py", "../../../outside.md"])
    def test_refuses_a_link_to_a_missing_file(self, root: Path, target: str) -> None:
        with pytest.raises(BrokenLink, match=r"^docs/guides/first\.md links to"):
            site_text(f"[a page]({target})", "docs/guides/first.md", root=root, published=set())


class TestIndentItems:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "1. one\n   more\n\n   ```\n   code\n   ```\n2. two",
                "1. one\n    more\n\n    ```\n    code\n    ```\n\n2. two",
            ),
            ("* one\n  * inner\n    more\n\ntext", "* one\n    * inner\n        more\n\ntext"),
            ("```\n* one\n  two\n```", "```\n* one\n  two\n```"),
            ("text\n  indented", "text\n  indented"),
        ],
    )
    def test_indents_by_four_columns(self, text: str, expected: str) -> None:
        assert indent_items(text) == expected


class TestNavigation:
    def test_names_pages_by_their_title(self, root: Path) -> None:
        sections = navigation(root, {"Home": ("README.md",), "Guides": ("docs/guides/*.md",)})
        pages = [{"First steps": "docs/guides/first.md"}, {"Next steps": "docs/guides/second.md"}]
        assert sections == [{"Home": "README.md"}, {"Guides": pages}]

    @pytest.mark.parametrize("pattern", [*FILES, *(one for patterns in SECTIONS.values() for one in patterns)])
    def test_of_this_repository_has_pages_for_each_pattern(self, pattern: str) -> None:
        assert list(ROOT.glob(pattern))


class TestWritePages:
    def test_finds_no_broken_link_in_this_repository(self, tmp_path: Path) -> None:
        write_pages(ROOT, tmp_path / "site")
        assert (tmp_path / "site" / "pages" / "docs" / "cli.md").is_file()
