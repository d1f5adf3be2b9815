"""Amounts of usage and the dimensions by which they are counted."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import lru_cache

from shared.meters import LEDGER_METERS, Meter, Meters, total


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The dimensions of usage; None if one does not apply or is unknown."""

    agent_id: str | None = None
    model: str | None = None
    provider: str | None = None
    project_id: str | None = None


@lru_cache(maxsize=1_024)
def dimensions_key(dimensions: Dimensions) -> str:
    """Return a short name of these dimensions.

    It is a hash, because the name of a model may be long and contain any character.
    """
    values = [dimensions.agent_id, dimensions.model, dimensions.provider, dimensions.project_id]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]


OTHER = Dimensions(agent_id="other", model="other", provider="other", project_id="other")
"""The row that counts usage of all combinations without a row of their own."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """A sum of usage."""

    events: int = 0
    unpriced: int = 0
    """The number of events whose cost is unknown."""
    priced_nano_usd: int = 0
    """The cost of the other events."""
    meters: Meters = field(default_factory=dict[Meter, int])
    unpriced_requests: int = 0
    """The requests to models in the events whose cost is unknown."""
    unpriced_tokens: int = 0
    """Their input and output tokens."""

    @property
    def cost_nano_usd(self) -> int | None:
        """The sum of the known costs; None if no cost is known."""
        return self.priced_nano_usd if self.events > self.unpriced else None

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.meters.get(Meter.TOKENS_IN, 0) + self.meters.get(Meter.TOKENS_OUT, 0)

    def plus(self, other: "Amounts") -> "Amounts":
        """Return the sum of both."""
        return Amounts(
            self.events + other.events,
            self.unpriced + other.unpriced,
            self.priced_nano_usd + other.priced_nano_usd,
            total(self.meters, other.meters),
            self.unpriced_requests + other.unpriced_requests,
            self.unpriced_tokens + other.unpriced_tokens,
        )

    def minus(self, other: "Amounts") -> "Amounts":
        """Return the difference. Meters without a difference are omitted."""
        differences = {
            meter: self.meters.get(meter, 0) - other.meters.get(meter, 0) for meter in {*self.meters, *other.meters}
        }
        return Amounts(
            self.events - other.events,
            self.unpriced - other.unpriced,
            self.priced_nano_usd - other.priced_nano_usd,
            without_zeros(differences),
            self.unpriced_requests - other.unpriced_requests,
            self.unpriced_tokens - other.unpriced_tokens,
        )

    @property
    def numbers(self) -> dict[str, int]:
        """All amounts by name. Amounts of 0 are omitted."""
        counted = {
            "events": self.events,
            "unpriced_events": self.unpriced,
            "cost_nano_usd": self.priced_nano_usd,
            "unpriced_requests": self.unpriced_requests,
            "unpriced_tokens": self.unpriced_tokens,
        }
        return {name: amount for name, amount in {**counted, **self.meters}.items() if amount}


def amounts_of_event(meters: Meters, *, cost_nano_usd: int | None) -> Amounts:
    """Return the amounts of one event; its cost is None if it is unknown."""
    if cost_nano_usd is not None:
        return Amounts(1, 0, cost_nano_usd, meters)
    plain = Amounts(1, 1, 0, meters)
    return replace(plain, unpriced_requests=meters.get(Meter.REQUESTS, 0), unpriced_tokens=plain.tokens)


def without_zeros(meters: Meters) -> dict[Meter, int]:
    """Return the meters that are not 0."""
    return {meter: amount for meter, amount in meters.items() if amount}


def all_meters(meters: Meters) -> dict[Meter, int]:
    """Return the amount of every meter, with 0 for those that were not used."""
    return {meter: meters.get(meter, 0) for meter in LEDGER_METERS}
