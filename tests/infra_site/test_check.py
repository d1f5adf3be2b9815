"""The checks of the built site."""

import json
from pathlib import Path

import pytest

from infra.site.check import TERMS, problems


def built(folder: Path, *, page: str = "", style: str = "", text: str = " ".join(TERMS)) -> Path:
    (folder / "search").mkdir()
    (folder / "search" / "search_index.json").write_text(json.dumps({"docs": [{"title": "A page", "text": text}]}))
    (folder / "index.html").write_text(page)
    (folder / "style.css").write_text(style)
    return folder


class TestProblems:
    @pytest.mark.parametrize(
        "page",
        [
            '<script src="https://unpkg.com/x"></script>',
            '<link rel="stylesheet" href="//fonts.googleapis.com/css">',
            '<img src="https://example.com/a.png">',
            '<pre class="mermaid">',
        ],
    )
    def test_report_external_requests_of_a_page(self, tmp_path: Path, page: str) -> None:
        assert len(problems(built(tmp_path, page=page))) == 1

    @pytest.mark.parametrize("style", ["a { background: url(https://example.com/a.png) }", '@import "//example.com"'])
    def test_report_external_requests_of_a_style(self, tmp_path: Path, style: str) -> None:
        assert len(problems(built(tmp_path, style=style))) == 1

    @pytest.mark.parametrize(
        "page",
        ['<a href="https://stripe.com">', '<script src="assets/a.js">', '<link rel="canonical" href="https://a">'],
    )
    def test_allow_links_and_own_files(self, tmp_path: Path, page: str) -> None:
        assert problems(built(tmp_path, page=page)) == []

    def test_report_terms_missing_in_the_search(self, tmp_path: Path) -> None:
        assert problems(built(tmp_path, text=" ".join(TERMS[1:]))) == ["the search does not find 'budget'"]
