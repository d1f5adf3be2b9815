"""Regular expressions that take linear time for any text and any expression (RE2).

RE2 works on bytes. Positions in results are code points, as in JSON Pointer's texts and in Python.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, cast

MAX_EXPRESSION_CHARS = 1_000
MAX_MEMORY_BYTES = 1024 * 1024
"""The memory of one compiled expression."""


class PatternInvalid(ValueError):
    """The text is no regular expression of RE2, or too large when it is compiled."""


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """One match."""

    text: str
    start: int
    """The number of code points before it."""
    end: int
    group: str
    """The first group; without groups, the whole match."""


class Pattern:
    """A regular expression, compiled on first use.

    Args:
        expression: the expression in the syntax of RE2.
        ignores_case: whether upper and lower case are the same.
    """

    def __init__(self, expression: str, *, ignores_case: bool = False) -> None:
        self.expression = expression
        self._ignores_case = ignores_case

    def find(self, text: str, *, limit: int = 100) -> Iterator[PatternMatch]:
        """Yield the first matches that do not overlap.

        Raises:
            PatternInvalid: the expression cannot be compiled.
        """
        encoded = text.encode()
        chars, last = 0, 0
        for match in islice(self._compiled.finditer(encoded), limit):
            start, end = match.span()
            chars += len(encoded[last:start].decode(errors="ignore"))
            found = encoded[start:end].decode(errors="replace")
            group = match.group(1) if self._compiled.groups and match.group(1) is not None else match.group(0)
            yield PatternMatch(found, chars, chars + len(found), cast("bytes", group).decode(errors="replace"))
            chars, last = chars + len(found), end

    def is_in(self, text: str) -> bool:
        """Return whether the expression matches anywhere.

        Raises:
            PatternInvalid: the expression cannot be compiled.
        """
        return self._compiled.search(text.encode()) is not None

    @cached_property
    def _compiled(self) -> Any:  # noqa: ANN401 — the library has no types
        re2 = cast("Any", _import())
        if len(self.expression) > MAX_EXPRESSION_CHARS:
            msg = f"has more than {MAX_EXPRESSION_CHARS} characters"
            raise PatternInvalid(msg)
        options = re2.Options()
        options.max_mem, options.log_errors = MAX_MEMORY_BYTES, False
        options.case_sensitive = not self._ignores_case
        try:
            return cast("Callable[..., Any]", re2.compile)(self.expression, options)
        except re2.error as error:
            raise PatternInvalid(str(error)) from error


def _import() -> object:
    # Only functions that search with patterns load the library.
    import re2  # pyright: ignore[reportMissingTypeStubs]

    return re2
