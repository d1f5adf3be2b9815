"""Usage: what was used, by whom, and the entry of the ledger that says so."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.metering.domain.hours import hour_of
from shared.events.envelope import Event
from shared.events.runs import ArtifactDownloaded, UsageRecorded
from shared.meters import Meter, Meters, total
from shared.times import to_text


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What usage is broken down by; None where it is of none, or that is not known."""

    agent_id: str | None = None
    model: str | None = None
    provider: str | None = None
    project_id: str | None = None


OTHER = Dimensions(agent_id="other", model="other", provider="other", project_id="other")
"""The row that counts usage of all dimensions for which there is no row of their own."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much was used."""

    events: int = 0
    unpriced: int = 0
    """Of the events, those whose cost is not known."""
    priced_nano_usd: int = 0
    """The cost of the others."""
    meters: Meters = field(default_factory=dict[Meter, int])

    @property
    def cost_nano_usd(self) -> int | None:
        """The cost as far as it is known; None when it is known of no event."""
        return self.priced_nano_usd if self.events > self.unpriced else None

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.meters.get(Meter.TOKENS_IN, 0) + self.meters.get(Meter.TOKENS_OUT, 0)

    def plus(self, other: "Amounts") -> "Amounts":
        """Both together."""
        return Amounts(
            self.events + other.events,
            self.unpriced + other.unpriced,
            self.priced_nano_usd + other.priced_nano_usd,
            total(self.meters, other.meters),
        )

    def minus(self, other: "Amounts") -> "Amounts":
        """What is to be added to the other one to make it this; meters that are the same are left out."""
        differences = {
            meter: self.meters.get(meter, 0) - other.meters.get(meter, 0) for meter in {*self.meters, *other.meters}
        }
        return Amounts(
            self.events - other.events,
            self.unpriced - other.unpriced,
            self.priced_nano_usd - other.priced_nano_usd,
            without_zeros(differences),
        )

    @property
    def numbers(self) -> dict[str, int]:
        """All of it by name; what is 0 is left out."""
        counted = {"events": self.events, "unpriced_events": self.unpriced, "cost_nano_usd": self.priced_nano_usd}
        return {name: amount for name, amount in {**counted, **self.meters}.items() if amount}


class Kind(StrEnum):
    """Where usage comes from."""

    CALL = "call"
    """A call to a model, told by the runs service."""
    DOWNLOAD = "download"
    """A URL that was given out, told by the runs service."""
    STORAGE = "storage"
    """What lay in the bucket for an hour, worked out here."""
    REPORTED = "reported"
    """The tenant itself."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What an entry comes from; it explains the entry, and is counted nowhere."""

    kind: Kind
    source: str | None = None
    """Who reported it, and what they call it."""
    reported_id: str | None = None
    run_id: str | None = None
    attempt: int | None = None
    call: int | None = None
    request_id: str | None = None
    agent_version: int | None = None
    price_version: str | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One usage event as the ledger keeps it; it never changes."""

    event_id: str
    occurred_at: datetime
    origin: Origin
    dimensions: Dimensions
    meters: Meters
    """Without those that are 0."""
    cost_nano_usd: int | None
    period: str
    """The month whose budget it was reserved in, `2026-11`."""
    content_hash: str
    """The same for the same content only."""

    @property
    def hour(self) -> datetime:
        """The hour that it is counted in."""
        return hour_of(self.occurred_at)

    @property
    def identity(self) -> tuple[str, str]:
        """Its id and its content."""
        return self.event_id, self.content_hash

    @property
    def amounts(self) -> Amounts:
        """What it adds to a counter."""
        return Amounts(1, int(self.cost_nano_usd is None), self.cost_nano_usd or 0, self.meters)

    @property
    def is_announced(self) -> bool:
        """Whether an event tells the other services of it; what comes from them is known there."""
        return self.origin.kind is Kind.REPORTED


def entry_of_call(event: Event[UsageRecorded]) -> Entry:
    """The entry that a call makes."""
    said = event.data
    dimensions = Dimensions(said.agent_id, said.model, said.provider, said.project_id)
    meters = without_zeros(said.meters)
    return Entry(
        event_id=event.id,
        occurred_at=event.occurred_at,
        origin=Origin(
            Kind.CALL,
            run_id=said.run_id,
            attempt=said.attempt,
            call=said.call,
            request_id=said.request_id,
            agent_version=said.version,
            price_version=said.price_version,
            simulated=said.simulated,
        ),
        dimensions=dimensions,
        meters=meters,
        cost_nano_usd=said.cost_nano_usd,
        period=said.period,
        content_hash=hash_of(
            {
                "occurred_at": to_text(event.occurred_at),
                "run": [said.run_id, said.attempt, said.call],
                "dimensions": _texts(dimensions),
                "meters": meters,
                "cost_nano_usd": said.cost_nano_usd,
                "simulated": said.simulated,
                "period": said.period,
            }
        ),
    )


def entry_of_download(event: Event[ArtifactDownloaded]) -> Entry:
    """The entry that a download makes."""
    said = event.data
    return unpriced_entry(
        event.id,
        at=event.occurred_at,
        origin=Origin(Kind.DOWNLOAD, run_id=said.run_id),
        dimensions=Dimensions(agent_id=said.agent_id, project_id=said.project_id),
        meters={Meter.EGRESS_BYTES: said.bytes},
    )


def unpriced_entry(event_id: str, *, at: datetime, origin: Origin, dimensions: Dimensions, meters: Meters) -> Entry:
    """An entry that no provider has a price for."""
    counted = without_zeros(meters)
    return Entry(
        event_id=event_id,
        occurred_at=at,
        origin=origin,
        dimensions=dimensions,
        meters=counted,
        cost_nano_usd=None,
        period=f"{hour_of(at):%Y-%m}",
        content_hash=hash_of({"occurred_at": to_text(at), "dimensions": _texts(dimensions), "meters": counted}),
    )


def without_zeros(meters: Meters) -> dict[Meter, int]:
    """Only what was used."""
    return {meter: amount for meter, amount in meters.items() if amount}


def hash_of(counted: Mapping[str, object]) -> str:
    """The hash of what is counted, and of where; what only explains it is left out."""
    return hashlib.sha256(json.dumps(counted, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _texts(dimensions: Dimensions) -> list[str | None]:
    return [dimensions.agent_id, dimensions.model, dimensions.provider, dimensions.project_id]
