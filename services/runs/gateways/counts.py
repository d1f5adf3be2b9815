"""What providers count, as our meters. They do not agree on what contains what; ours always contain all."""

from collections.abc import Mapping
from typing import Any, cast

from shared.meters import Meter, Meters

_MOST = 10**12
"""No call takes more of anything; whoever says so must not break our sums."""


def number(usage: object, *path: str) -> int:
    """A count in what the provider said; 0 where compatible servers leave it out or say something else."""
    found: object = usage
    for name in path:
        found = _field(found, name)
    return min(max(found, 0), _MOST) if isinstance(found, int) and not isinstance(found, bool) else 0


def has(usage: object, name: str) -> bool:
    """Whether the provider has said this count at all."""
    return isinstance(_field(usage, name), int)


def meters(*, tokens_in: int, cache_read: int, cache_write: int, tokens_out: int, reasoning: int) -> Meters:
    """The meters of a call; a part that is not there is left out.

    Args:
        tokens_in: all input, cache included.
        cache_read: of the input, read from the cache.
        cache_write: of the input, written to it.
        tokens_out: all output, reasoning included.
        reasoning: of the output.
    """
    parts = {
        Meter.TOKENS_CACHE_READ: cache_read,
        Meter.TOKENS_CACHE_WRITE: cache_write,
        Meter.TOKENS_REASONING: reasoning,
    }
    whole = {
        # A whole is never less than its parts, even where a server counts badly.
        Meter.TOKENS_IN: max(tokens_in, cache_read + cache_write),
        Meter.TOKENS_OUT: max(tokens_out, reasoning),
    }
    return {**whole, **{meter: amount for meter, amount in parts.items() if amount}}


def _field(found: object, name: str) -> object:
    if isinstance(found, Mapping):
        return cast("Mapping[str, Any]", found).get(name)
    return getattr(found, name, None)
