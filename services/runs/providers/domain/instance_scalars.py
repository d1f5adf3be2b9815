"""Candidates for strings and numbers that fit a canonical schema, the simplest first."""

import importlib
import re
import string
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import chain, count, islice, product
from math import ceil, floor, gcd, lcm
from typing import Any

from jsonschema_rs.canonical import IntegerView, NumberView, StringView

MAX_CHARS = 100_000
"""The maximum length of one string."""
MAX_CANDIDATES = 20_000
"""The maximum number of different values of one schema, for arrays of distinct items."""
_MAX_TESTED = 400
"""The maximum number of candidates for a string with a pattern."""
_ALPHABET = string.ascii_lowercase + string.digits
_ANY = _ALPHABET + string.ascii_uppercase + "-"
_VARIED_REPETITIONS = 32
"""The repetitions whose characters may differ from each other."""
_MIXED = ("Text-1!", "Text1", "TEXT", "1", "Aa1!", "text_1", "text-1", "text.text", "+4930123456", " ")
"""Candidates for patterns that cannot be parsed, or that contain conditions on other parts of the text."""
_FORMATS: dict[str, Callable[[int], str]] = {
    "date": lambda n: f"{2026 + n % 7_000:04}-01-01",
    "date-time": lambda n: f"{2026 + n % 7_000:04}-01-01T00:00:00Z",
    "duration": lambda n: f"P{n + 1}D",
    "email": lambda n: f"user{n or ''}@example.com",
    "hostname": lambda n: f"host{n or ''}.example.com",
    "idn-email": lambda n: f"user{n or ''}@example.com",
    "idn-hostname": lambda n: f"host{n or ''}.example.com",
    "ipv4": lambda n: f"192.0.{n // 256 % 256}.{n % 256}",
    "ipv6": lambda n: f"2001:db8::{n + 1:x}",
    "iri": lambda n: f"https://example.com/{n or ''}",
    "iri-reference": lambda n: f"https://example.com/{n or ''}",
    "json-pointer": lambda n: f"/{n}",
    "regex": lambda n: f"^{n}$",
    "relative-json-pointer": str,
    "time": lambda n: f"{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z",
    "uri": lambda n: f"https://example.com/{n or ''}",
    "uri-reference": lambda n: f"https://example.com/{n or ''}",
    "uri-template": lambda n: f"https://example.com/{n or ''}",
    "uuid": lambda n: f"00000000-0000-4000-8000-{n:012x}",
}


class InstanceTooLarge(Exception):
    """Every value that fits exceeds the limits of an answer."""


def numbers(view: IntegerView | NumberView) -> Iterator[int | float]:
    """Yield numbers in the range of the schema, beginning with 1 or 1.5 if they are in it."""
    low, high = _fraction(view.minimum), _fraction(view.maximum)
    step = _common_multiple([Fraction(str(one)) for one in view.multiple_of])
    whole = isinstance(view, IntegerView)
    if whole:
        step = _common_multiple([step, Fraction(1)] if step else [Fraction(1)])
    barred = [Fraction(str(one)) for one in view.not_multiple_of]
    for number in islice(_steps(low, high, step), MAX_CANDIDATES):
        if any(number % one == 0 for one in barred) or not _is_inside(number, view, low, high):
            continue
        yield int(number) if number.denominator == 1 else float(number)


def _is_inside(number: Fraction, view: IntegerView | NumberView, low: Fraction | None, high: Fraction | None) -> bool:
    if (low is not None and number < low) or (high is not None and number > high):
        return False
    if isinstance(view, IntegerView):
        return True
    if view.excludes_integers and number.denominator == 1:
        return False
    return not ((view.exclusive_minimum and number == low) or (view.exclusive_maximum and number == high))


def _steps(low: Fraction | None, high: Fraction | None, step: Fraction | None) -> Iterator[Fraction]:
    """Yield a preferred number, and then all multiples from one of the bounds; without a step, parts of the range."""
    if step is None:
        yield Fraction(3, 2)
        yield from _parts(low, high)
        return
    yield step
    if low is not None:
        first, last = ceil(low / step), floor(high / step) if high is not None else None
        yield from (index * step for index in (count(first) if last is None else range(first, last + 1)))
    elif high is not None:
        yield from (index * step for index in count(floor(high / step), -1))
    else:
        yield from (index * step for index in count(2))


def _parts(low: Fraction | None, high: Fraction | None) -> Iterator[Fraction]:
    if low is not None and high is not None:
        yield low
        yield high
        yield from (low + (high - low) * Fraction(index, 32) for index in range(1, 32))
        return
    base, sign = (low, 1) if low is not None else (high if high is not None else Fraction(3, 2), -1)
    yield from (base + sign * Fraction(index, 2) for index in count())


def _fraction(number: float | Decimal | None) -> Fraction | None:
    return None if number is None else Fraction(str(number))  # A float's decimal text, not its binary value.


def _common_multiple(steps: Sequence[Fraction]) -> Fraction | None:
    result: Fraction | None = None
    for step in steps:
        result = step if result is None else _pair_multiple(result, step)
    return result


def _pair_multiple(one: Fraction, other: Fraction) -> Fraction:
    return Fraction(lcm(one.numerator, other.numerator), gcd(one.denominator, other.denominator))


def strings(view: StringView, fits: Callable[[str], bool]) -> Iterator[str]:
    """Yield strings of the schema.

    Args:
        view: the schema.
        fits: whether a candidate fits all of the schema.

    Raises:
        InstanceTooLarge: each of them is too long.
    """
    if (view.min_length or 0) > MAX_CHARS:
        raise InstanceTooLarge
    if view.patterns or view.excluded_patterns or view.formats or view.excluded_formats or view.excluded:
        conditions = islice(chain(_of_formats(view), _of_patterns(view), _of_length(view)), MAX_CANDIDATES)
        tested = conditions if not view.patterns else islice(conditions, _MAX_TESTED)
        yield from _unique(text for text in tested if fits(text))
    else:
        yield from islice(_of_length(view), MAX_CANDIDATES)


def _unique(texts: Iterator[str]) -> Iterator[str]:
    seen = set[str]()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def _of_formats(view: StringView) -> Iterator[str]:
    for name in view.formats:
        write = _FORMATS.get(name)
        if write:
            yield from (write(number) for number in range(_MAX_TESTED // 2))


def _of_length(view: StringView) -> Iterator[str]:
    """Yield texts within the length window: `text`, `text 2` and so on, or short ones if only those fit."""
    low, high = view.min_length or 0, view.max_length
    for number in count():
        text = "text" if number == 0 else f"text {number + 1}"
        if high is not None and len(text) > high:
            yield from _short(low, high)
            return
        yield text + "-" * (low - len(text))


def _short(low: int, high: int) -> Iterator[str]:
    if high == 0:
        yield ""
    for length in range(max(low, 1), high + 1):
        yield from ("".join(letters) for letters in product(_ALPHABET, repeat=length))


def _of_patterns(view: StringView) -> Iterator[str]:
    """Yield texts that match the first pattern, or all of them one after the other."""
    if not view.patterns:
        return
    low = view.min_length or 0
    for variant, extra in product(range(4), (0, 1, 3, low)):
        parts = [_sample(pattern, variant=variant, extra=extra) for pattern in view.patterns]
        padding = "a" * (low - sum(map(len, parts)))
        for text in dict.fromkeys((padding.join(parts), *parts)):
            yield text
            yield text + "a" * (low - len(text))
    for text, length in product(_MIXED, (1, 8, 12, 16, low)):
        yield text if length == 1 else (text * (length // len(text) + 1))[:length]
    for number in range(4, 80):
        samples = [_sample(pattern, variant=number, extra=0) for pattern in view.patterns]
        yield from (*samples, f"{samples[0]}{number}")


def _sample(pattern: str, *, variant: int, extra: int) -> str:
    """Return a text that probably matches; empty if Python does not know the syntax."""
    try:
        # The parser is private, but the only one for Python's own syntax, and what it returns has not changed for long.
        return _Sample(variant, extra).write(importlib.import_module("re._parser").parse(pattern))[:MAX_CHARS]
    except (re.error, OverflowError, RecursionError):
        return ""


class _Sample:
    """A text that follows a parsed pattern.

    Args:
        variant: selects alternatives and characters.
        extra: the repetitions beyond the minimum.
    """

    def __init__(self, variant: int, extra: int) -> None:
        self._variant = variant
        self._extra = extra
        self._groups: dict[int, str] = {}
        self._written = 0

    def write(self, parsed: Any) -> str:  # noqa: ANN401 — the parser has no static types
        return "".join(self._part(str(operation), argument) for operation, argument in parsed)

    def _part(self, operation: str, argument: Any) -> str:  # noqa: ANN401 — the parser has no static types
        match operation:
            case "LITERAL":
                return chr(argument)
            case "NOT_LITERAL" | "ANY" | "IN":
                return self._character(operation, argument)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                return self._repeat(*argument)
            case "BRANCH":
                return self.write(argument[1][self._variant % len(argument[1])])
            case "SUBPATTERN":
                return self._groups.setdefault(argument[0], self.write(argument[3]))
            case "ATOMIC_GROUP":
                return self.write(argument)
            case "GROUPREF":
                return self._groups.get(argument, "")
            case _:
                return ""  # The position of a match, and conditions on the text around it.

    def _repeat(self, least: int, most: int, parsed: Any) -> str:  # noqa: ANN401 — the parser has no static types
        times = min(int(most), int(least) + self._extra, MAX_CHARS)
        varied = min(times, _VARIED_REPETITIONS)
        text = "".join(self.write(parsed) for _ in range(varied))
        return text + self.write(parsed) * (times - varied) if times > varied else text

    def _character(self, operation: str, argument: Any) -> str:  # noqa: ANN401 — the parser has no static types
        if operation == "ANY":
            members = _ANY
        elif operation == "NOT_LITERAL":
            members = _ANY.replace(chr(argument), "")
        else:
            members = _members(argument)
        self._written += 1
        # The first variant repeats the first character; the others take each from another part of the class.
        index = self._variant * (1 + self._written * (len(members) // 3 + 1))
        return members[index % len(members)] if members else ""


def _members(parsed: Any) -> str:  # noqa: ANN401 — the parser has no static types
    """Return some characters of a class, in its own order."""
    source, negated = "", False
    for operation, argument in parsed:
        match str(operation):
            case "NEGATE":
                negated = True
            case "LITERAL":
                source += chr(argument)
            case "RANGE":
                source += "".join(map(chr, range(argument[0], min(argument[1], argument[0] + 64) + 1)))
            case _:
                source += _category(str(argument))
    return "".join(one for one in _ALPHABET + string.punctuation + " " if one not in source) if negated else source


def _category(name: str) -> str:
    kind, negated = name.removeprefix("CATEGORY_").removeprefix("NOT_"), "NOT_" in name
    members = {"DIGIT": string.digits, "SPACE": " \t", "WORD": _ALPHABET}[kind]
    return "".join(one for one in _ALPHABET + "- " if one not in members) if negated else members
