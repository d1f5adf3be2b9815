"""The amounts of all meters in a response."""

from typing import Self

from services.metering.counters.domain.amounts import all_meters
from shared.meters import Meters
from shared.schema import DocumentedModel


class MeterAmounts(DocumentedModel):
    """The used amount of each meter."""

    requests: int
    """One per run that called a provider, regardless of the number of calls."""
    tokens_in: int
    """All input tokens, including cached ones."""
    tokens_out: int
    """All output tokens, including reasoning."""
    tokens_cache_read: int
    """The part of `tokens_in` that was read from the provider's cache."""
    tokens_cache_write: int
    """All input tokens that were written to the cache, for any lifetime."""
    tokens_cache_write_1h: int
    """The part of `tokens_cache_write` that is kept for one hour. Billed hours and reported usage do not have it."""
    tokens_reasoning: int
    """The part of `tokens_out` that is reasoning."""
    tokens_uncertain: int
    """The upper bound of the usage of calls whose result is unknown; never billed."""
    compute_ms: int
    """From the time at which a call was sent until its end."""
    storage_byte_hours: int
    """One byte stored for one hour."""
    egress_bytes: int
    """Counted when a download URL is issued."""
    eval_examples: int
    """Reported by the tenant."""
    images_generated: int
    """Reported by the tenant."""
    audio_seconds: int
    """Reported by the tenant."""
    fine_tune_tokens: int
    """Reported by the tenant."""

    @classmethod
    def of(cls, meters: Meters) -> Self:
        """Return the amount of every meter, with 0 for those that were not used."""
        return cls.model_validate(all_meters(meters))
