"""The language of docstrings, comments, messages and documents is plain technical English."""

from pathlib import Path

import pytest

from infra.local.paths import ROOT
from tests.architecture.prose import Text, count_words, files_below, findings, texts_of

REVISED = (
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "GLOSSARY.md",
    "README.md",
    "SECURITY.md",
    "bench/README.md",
    "cli",
    "docs/README.md",
    "docs/decisions",
    "docs/guides",
    "infra/local/stripe/README.md",
    "services/agents/README.md",
    "services/billing/README.md",
    "services/metering/README.md",
    "services/runs/README.md",
    "services/tenants/README.md",
    "shared/deadline.py",
    "shared/freejson.py",
    "shared/messaging/quarantine.py",
    "shared/storage/due.py",
    "shared/sweep.py",
    "tests/cli",
    "tests/soak",
)
"""Files and folders whose language was revised; it grows until it names the whole repository."""

MAX_WHAT_PER_10_000_WORDS = 20


def revised() -> list[Path]:
    return [path for name in REVISED for path in files_below(ROOT / name)]


class TestRevisedFiles:
    @pytest.mark.parametrize("path", revised(), ids=lambda path: str(path.relative_to(ROOT)))
    def test_use_plain_english(self, path: Path) -> None:
        assert findings(texts_of(path)) == []

    def test_rarely_write_what(self) -> None:
        texts = [text for path in revised() for text in texts_of(path)]
        assert count_words(texts, "what") * 10_000 <= MAX_WHAT_PER_10_000_WORDS * count_words(texts)

    def test_exist(self) -> None:
        assert [name for name in REVISED if not (ROOT / name).exists()] == []


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
