"""The meters of usage; every amount is an integer."""

from collections.abc import Mapping
from enum import StrEnum


class Meter(StrEnum):
    """A counted quantity; the name contains the unit."""

    REQUESTS = "requests"
    """One per run that called a provider, regardless of the number of calls."""
    TOKENS_IN = "tokens_in"
    """All input tokens, including cached ones."""
    TOKENS_OUT = "tokens_out"
    """All output tokens, including reasoning."""
    TOKENS_CACHE_READ = "tokens_cache_read"
    TOKENS_CACHE_WRITE = "tokens_cache_write"
    """All input tokens that were written to the cache, for any lifetime."""
    TOKENS_CACHE_WRITE_1H = "tokens_cache_write_1h"
    """The part of `tokens_cache_write` that is kept for one hour, which has a price of its own."""
    TOKENS_REASONING = "tokens_reasoning"
    TOKENS_UNCERTAIN = "tokens_uncertain"
    """The upper bound of the usage of a call whose result is unknown; never billed, never returned to the budget."""
    COMPUTE_MS = "compute_ms"
    """From the time at which a call was sent until its end."""
    STORAGE_BYTE_HOURS = "storage_byte_hours"
    """One byte stored for one hour."""
    EGRESS_BYTES = "egress_bytes"
    """Counted when a download URL is issued."""
    EVAL_EXAMPLES = "eval_examples"
    IMAGES_GENERATED = "images_generated"
    AUDIO_SECONDS = "audio_seconds"
    FINE_TUNE_TOKENS = "fine_tune_tokens"


OF_CALLS = (
    Meter.REQUESTS,
    Meter.TOKENS_IN,
    Meter.TOKENS_OUT,
    Meter.TOKENS_CACHE_READ,
    Meter.TOKENS_CACHE_WRITE,
    Meter.TOKENS_CACHE_WRITE_1H,
    Meter.TOKENS_REASONING,
    Meter.TOKENS_UNCERTAIN,
    Meter.COMPUTE_MS,
)
"""The meters of a call to a model; `usage.recorded.v2` has no others."""
OF_CALLS_V1 = tuple(meter for meter in OF_CALLS if meter is not Meter.TOKENS_CACHE_WRITE_1H)
"""The meters of `usage.recorded.v1`."""

LEDGER_METERS = tuple(Meter)
"""The meters that the ledger counts."""

PUBLISHED_METERS = tuple(meter for meter in Meter if meter is not Meter.TOKENS_CACHE_WRITE_1H)
"""The meters of closed hours, which billing bills, and those that tenants can report."""

Meters = Mapping[Meter, int]


def published(meters: Meters) -> dict[Meter, int]:
    """Return the meters that the event of a closed hour contains."""
    return {meter: amount for meter, amount in meters.items() if meter in PUBLISHED_METERS}


def total(*counts: Meters) -> dict[Meter, int]:
    """Return the sum of several counts by meter. Meters that occur in none of them are omitted."""
    result: dict[Meter, int] = {}
    for count in counts:
        for meter, amount in count.items():
            result[meter] = result.get(meter, 0) + amount
    return result
