"""The difference between two texts, as a unified diff, and between two documents, as a JSON Patch (RFC 6902)."""

from collections.abc import Mapping, Sequence
from difflib import unified_diff
from typing import Any

MAX_COMPARED_LINES = 1_000
"""The maximum number of changed lines that are compared line by line. The time grows with their product, so that above
it, all lines between the first and the last change count as replaced."""
_CONTEXT_LINES = 3


def text_diff(before: str, after: str, *, before_name: str, after_name: str) -> str:
    """Return a unified diff of two texts; it is empty if they are equal.

    A last line without a line break is followed by the usual note.
    """
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    start = _equal_lines(old, new)
    end = _equal_lines(old[start:][::-1], new[start:][::-1])
    changed = max(len(old), len(new)) - start - end
    if changed > MAX_COMPARED_LINES:
        lines = _replaced(old, new, start, end, names=(before_name, after_name))
    else:
        lines = list(unified_diff(old, new, before_name, after_name, n=_CONTEXT_LINES))
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def document_diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON Patch that changes one document into the other."""
    from jsonpatch import make_patch

    return [*make_patch(dict(before), dict(after))]


def _equal_lines(old: Sequence[str], new: Sequence[str]) -> int:
    """Return the number of equal lines at the start."""
    pairs = zip(old, new, strict=False)
    return next((number for number, (one, other) in enumerate(pairs) if one != other), min(len(old), len(new)))


def _replaced(old: Sequence[str], new: Sequence[str], start: int, end: int, *, names: tuple[str, str]) -> list[str]:
    """Return one hunk that replaces all lines between the equal ones."""
    first, context = max(start - _CONTEXT_LINES, 0), min(end, _CONTEXT_LINES)
    old_end, new_end = len(old) - end, len(new) - end
    old_size, new_size = old_end + context - first, new_end + context - first
    return [
        f"--- {names[0]}\n",
        f"+++ {names[1]}\n",
        f"@@ -{first + 1},{old_size} +{first + 1},{new_size} @@\n",
        *(f" {line}" for line in old[first:start]),
        *(f"-{line}" for line in old[start:old_end]),
        *(f"+{line}" for line in new[start:new_end]),
        *(f" {line}" for line in old[old_end : old_end + context]),
    ]
