"""The meters: what is counted, always in integers."""

from collections.abc import Mapping
from enum import StrEnum


class Meter(StrEnum):
    """One thing that is counted; the unit is in the name."""

    REQUESTS = "requests"
    """One per run that made a call to a provider, whatever it took."""
    TOKENS_IN = "tokens_in"
    """All input tokens, those from a cache included."""
    TOKENS_OUT = "tokens_out"
    """All output tokens, reasoning included."""
    TOKENS_CACHE_READ = "tokens_cache_read"
    TOKENS_CACHE_WRITE = "tokens_cache_write"
    TOKENS_REASONING = "tokens_reasoning"
    TOKENS_UNCERTAIN = "tokens_uncertain"
    """The bound of what a call may have used that nobody can know; never billed, never given back."""
    COMPUTE_MS = "compute_ms"
    """From the moment that a call was sent until its end."""
    STORAGE_BYTE_HOURS = "storage_byte_hours"
    """One byte that is stored for one hour."""
    EGRESS_BYTES = "egress_bytes"
    """Counted when a download URL is given out."""
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
    Meter.TOKENS_REASONING,
    Meter.TOKENS_UNCERTAIN,
    Meter.COMPUTE_MS,
)
"""What a call to a model can use; nothing else is in `usage.recorded`."""

Meters = Mapping[Meter, int]


def total(*counts: Meters) -> dict[Meter, int]:
    """The sum of several counts; a meter that none of them has is left out."""
    result: dict[Meter, int] = {}
    for count in counts:
        for meter, amount in count.items():
            result[meter] = result.get(meter, 0) + amount
    return result
