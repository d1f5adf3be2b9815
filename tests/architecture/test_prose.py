"""The language of docstrings, comments, messages and documents is plain technical English."""

from pathlib import Path

import pytest

from infra.local.paths import ROOT
from tests.architecture.prose import Text, count_words, files_below, findings, texts_of

ROOTS = (
    *(
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "GLOSSARY.md",
        "README.md",
        "SECURITY.md",
    ),
    *("docs/README.md", "docs/api/openapi.json", "docs/cli.md", "docs/decisions", "docs/guides"),
    *("bench", "cli", "infra", "sandbox", "services", "shared", "tests"),
)
VOCABULARY = "tests/architecture/prose.py"
"""The list of the refused expressions itself."""

MAX_WHAT_PER_10_000_WORDS = 20


def files() -> list[Path]:
    return [path for name in ROOTS for path in files_below(ROOT / name) if path != ROOT / VOCABULARY]


class TestRepository:
    @pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
    def test_use_plain_english(self, path: Path) -> None:
        assert findings(texts_of(path)) == []

    def test_rarely_write_what(self) -> None:
        texts = [text for path in files() for text in texts_of(path)]
        assert count_words(texts, "what") * 10_000 <= MAX_WHAT_PER_10_000_WORDS * count_words(texts)

    def test_exist(self) -> None:
        assert [name for name in ROOTS if not (ROOT / name).exists()] == []


class TestFindings:
    @pytest.mark.parametrize(
        "text",
        [
            "The service " + "says so.",
            "No" + "body reports it.",
            "The item li" + "es in the table.",
            "So mu" + "ch is reserved.",
            "Wh" + "at was used at one moment.",
        ],
    )
    def test_are_found(self, text: str) -> None:
        assert len(findings([Text(1, text)])) == 1

    @pytest.mark.parametrize("text", ["What does it cost?", "Return the run.", "It runs `say` in a shell."])
    def test_are_not_found_in_plain_english(self, text: str) -> None:
        assert findings([Text(1, text)]) == []
