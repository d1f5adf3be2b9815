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
    EGRESS_BYTES = "egress_bytes"


OF_CALLS = tuple(meter for meter in Meter if meter not in {Meter.STORAGE_BYTE_HOURS, Meter.EGRESS_BYTES})
"""What a run and its calls can raise."""

Meters = Mapping[Meter, int]


def total(*counts: Meters) -> dict[Meter, int]:
    """The sum of several counts; a meter that none of them has is left out."""
    result: dict[Meter, int] = {}
    for count in counts:
        for meter, amount in count.items():
            result[meter] = result.get(meter, 0) + amount
    return result
