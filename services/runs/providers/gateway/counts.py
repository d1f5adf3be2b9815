"""Conversion of providers' usage counts to meters.

Providers differ in which counts include others; our totals always include all parts.
"""

from collections.abc import Mapping
from typing import Any, cast

from shared.meters import Meter, Meters

_MAX_COUNT = 10**12
"""The maximum of any count, so that a server that reports a larger one cannot break our sums."""


def number(usage: object, *path: str) -> int:
    """Return a count from the provider's usage; 0 if it is missing or not a number, as with some compatible servers."""
    value: object = usage
    for name in path:
        value = _field(value, name)
    return min(max(value, 0), _MAX_COUNT) if isinstance(value, int) and not isinstance(value, bool) else 0


def number_of_entry(usage: object, name: str, count: str, **wanted: str) -> int:
    """Return a count from the entry with these fields in a list of the provider's usage; 0 if it is missing."""
    entries: object = _field(usage, name)
    if not isinstance(entries, list):
        return 0
    return next(
        (
            number(entry, count)
            for entry in cast("list[object]", entries)
            if all(_field(entry, key) == value for key, value in wanted.items())
        ),
        0,
    )


def has(usage: object, name: str) -> bool:
    """Return whether the provider has reported this count."""
    return isinstance(_field(usage, name), int)


def latest(known: Meters | None, counted: Meters) -> Meters:
    """Return the usage after a further count. Counts are cumulative, so a smaller one does not take anything back."""
    return {meter: max((known or {}).get(meter, 0), counted.get(meter, 0)) for meter in {**(known or {}), **counted}}


def meters(
    *, tokens_in: int, cache_read: int, cache_write: int, tokens_out: int, reasoning: int, cache_write_1h: int = 0
) -> Meters:
    """Return the meters of a call; parts that are 0 are omitted.

    Args:
        tokens_in: all input, cache included.
        cache_read: the part of the input that was read from the cache.
        cache_write: the part of the input that was written to the cache.
        tokens_out: all output, reasoning included.
        reasoning: the part of the output that is reasoning.
        cache_write_1h: the part of `cache_write` that is kept for one hour.
    """
    # A total is at least the sum of its parts, even if a server counts incorrectly.
    cache_write = max(cache_write, cache_write_1h)
    parts = {
        Meter.TOKENS_CACHE_READ: cache_read,
        Meter.TOKENS_CACHE_WRITE: cache_write,
        Meter.TOKENS_CACHE_WRITE_1H: cache_write_1h,
        Meter.TOKENS_REASONING: reasoning,
    }
    totals = {
        Meter.TOKENS_IN: max(tokens_in, cache_read + cache_write),
        Meter.TOKENS_OUT: max(tokens_out, reasoning),
    }
    return {**totals, **{meter: amount for meter, amount in parts.items() if amount}}


def _field(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)
