"""Prose of the repository, and the words that it does not use.

The language is plain technical English with the standard terms of the field: publish, return, report, receive, store.
"""

import ast
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

MIN_WORDS = 3
"""String literals with fewer words are identifiers, keys or paths."""

_REFUSED = {
    "a stand-in for publish, return, report or receive": re.compile(
        r"\b(say|says|said|saying|tell|tells|told|telling|hear|hears|heard|hearing)\b", re.IGNORECASE
    ),
    "a pronoun without a subject": re.compile(
        r"\b(nobody|somebody|whoever|whatever it|none any more)\b", re.IGNORECASE
    ),
    "a stand-in for is stored": re.compile(
        r"\b(lies|lie|lay|stands|stood) (in|below|under|beside|on|where|there|behind|above)\b", re.IGNORECASE
    ),
    "a vague quantity": re.compile(r"\bso (much|many|long|often)\b(?! as\b)", re.IGNORECASE),
    "a sentence that begins with What and is no question": re.compile(
        r"(?:^|(?<=[.:;|] )|(?<=\n))\s*What\b[^.?\n]*(?:[.\n|]|$)"
    ),
}
_CODE = re.compile(r"```.*?```|`[^`]*`|https?://\S+|\[\[[^\]]*\]\]|You said:", re.DOTALL)
"""Not prose: code, addresses, directives, and the beginning of a simulated answer."""
_WORD = re.compile(r"[A-Za-z][A-Za-z']*")


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of prose and the line where it begins."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A refused expression."""

    line: int
    found: str
    reason: str


def findings(texts: list[Text]) -> list[Finding]:
    """Return the refused expressions in these texts."""
    return [
        Finding(text.line, match[0].strip(), reason)
        for text in texts
        for reason, pattern in _REFUSED.items()
        for match in pattern.finditer(_CODE.sub("CODE", text.text))
    ]


def count_words(texts: list[Text], word: str | None = None) -> int:
    """Return the number of words, or of occurrences of one."""
    words = (found.lower() for text in texts for found in _WORD.findall(_CODE.sub(" ", text.text)))
    return sum(word is None or found == word for found in words)


def texts_of(path: Path) -> list[Text]:
    """Return the prose in a file.

    This is docstrings, comments and string literals of Python, all of Markdown, and the descriptions of OpenAPI.
    """
    source = path.read_text()
    match path.suffix:
        case ".py":
            return [*_literals(source), *_comments(source)]
        case ".md":
            return [Text(1, source)]
        case ".json":
            return list(_descriptions(json.loads(source)))
        case _:
            return []


def _literals(source: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value.split()) >= MIN_WORDS:
            yield Text(node.lineno, node.value)


def _comments(source: str) -> Iterator[Text]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(token.start[0], token.string.lstrip("# "))


def _descriptions(node: object) -> Iterator[Text]:
    if isinstance(node, dict):
        for name, value in cast("dict[str, Any]", node).items():
            if name in {"summary", "description"} and isinstance(value, str):
                yield Text(1, value)
            else:
                yield from _descriptions(value)
    elif isinstance(node, list):
        for value in cast("list[Any]", node):
            yield from _descriptions(value)


def main(arguments: list[str]) -> int:
    """Print the refused expressions in these files and folders; the exit code is 1 if there are any."""
    paths = [path for name in arguments for path in files_below(Path(name))]
    found = [(path, finding) for path in paths for finding in findings(texts_of(path))]
    for path, finding in found:
        print(f"{path}:{finding.line}: {finding.found!r} is {finding.reason}")  # noqa: T201 — a program
    texts = [text for path in paths for text in texts_of(path)]
    rate = count_words(texts, "what") * 10_000 / max(1, count_words(texts))
    print(f"{len(paths)} files, {len(found)} findings, 'what' {rate:.0f} times in 10,000 words")  # noqa: T201 — as above
    return bool(found)


def files_below(path: Path) -> list[Path]:
    """Return the file, or the files with prose below the folder."""
    return [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.suffix in {".py", ".md"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
