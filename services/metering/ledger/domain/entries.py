"""Usage: ledger entries, their amounts and their dimensions."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.metering.counters.domain.amounts import Amounts, Dimensions, amounts_of_event, without_zeros
from services.metering.counters.domain.hours import hour_of
from shared.events.envelope import Event
from shared.events.runs import ArtifactDownloaded, EarlierUsageRecorded, UsageRecorded
from shared.meters import Meter, Meters, published
from shared.times import to_text


class UsageKind(StrEnum):
    """The source of usage."""

    CALL = "call"
    """A call to a model, reported by the runs service."""
    DOWNLOAD = "download"
    """A download URL that the runs service issued and reported."""
    STORAGE = "storage"
    """The bytes in the bucket during an hour, calculated by this service."""
    REPORTED = "reported"
    """Reported by the tenant."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of an entry. It is for information only and is not counted."""

    kind: UsageKind
    source: str | None = None
    """The `source` of a reported event; `reported_id` is its `id`."""
    reported_id: str | None = None
    run_id: str | None = None
    attempt: int | None = None
    call: int | None = None
    request_id: str | None = None
    agent_version: int | None = None
    price_version: str | None = None
    simulated: bool = False
    usage_estimated: bool = False
    """Whether the output tokens are estimated, because the answer broke off."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A ledger entry: one usage event, which never changes."""

    event_id: str
    occurred_at: datetime
    origin: Origin
    dimensions: Dimensions
    meters: Meters
    """The meters that are not 0."""
    cost_nano_usd: int | None
    period: str
    """The month whose budget was reduced, for example `2026-11`."""
    content_hash: str
    """Equal for equal content only."""

    @property
    def hour(self) -> datetime:
        """The hour in which the entry is counted."""
        return hour_of(self.occurred_at)

    @property
    def identity(self) -> tuple[str, str]:
        """Its id and its content."""
        return self.event_id, self.content_hash

    @property
    def amounts(self) -> Amounts:
        """The amounts that the entry adds to a counter."""
        return amounts_of_event(self.meters, cost_nano_usd=self.cost_nano_usd)

    @property
    def needs_event(self) -> bool:
        """Whether other services need an event about it. They know the usage that they reported themselves."""
        return self.origin.kind is UsageKind.REPORTED


def entry_from_call(event: Event[UsageRecorded] | Event[EarlierUsageRecorded]) -> LedgerEntry:
    """Return the ledger entry of a call.

    Both versions of the event have the same content hash, so that a call is counted once if both are published.
    """
    payload = event.data
    dimensions = Dimensions(payload.agent_id, payload.model, payload.provider, payload.project_id)
    meters = without_zeros(payload.meters)
    return LedgerEntry(
        event_id=event.id,
        occurred_at=event.occurred_at,
        origin=Origin(
            UsageKind.CALL,
            run_id=payload.run_id,
            attempt=payload.attempt,
            call=payload.call,
            request_id=payload.request_id,
            agent_version=payload.version,
            price_version=payload.price_version,
            simulated=payload.simulated,
            usage_estimated=isinstance(payload, UsageRecorded) and payload.usage_estimated,
        ),
        dimensions=dimensions,
        meters=meters,
        cost_nano_usd=payload.cost_nano_usd,
        period=payload.period,
        content_hash=hash_of(
            {
                "occurred_at": to_text(event.occurred_at),
                "run": [payload.run_id, payload.attempt, payload.call],
                "dimensions": _texts(dimensions),
                "meters": published(meters),
                "cost_nano_usd": payload.cost_nano_usd,
                "simulated": payload.simulated,
                "period": payload.period,
            }
        ),
    )


def entry_from_download(event: Event[ArtifactDownloaded]) -> LedgerEntry:
    """Return the ledger entry of a download."""
    payload = event.data
    return unpriced_entry(
        event.id,
        at=event.occurred_at,
        origin=Origin(UsageKind.DOWNLOAD, run_id=payload.run_id),
        dimensions=Dimensions(agent_id=payload.agent_id, project_id=payload.project_id),
        meters={Meter.EGRESS_BYTES: payload.bytes},
    )


def unpriced_entry(
    event_id: str, *, at: datetime, origin: Origin, dimensions: Dimensions, meters: Meters
) -> LedgerEntry:
    """Return a ledger entry without a cost, because no provider charges for it."""
    counted = without_zeros(meters)
    return LedgerEntry(
        event_id=event_id,
        occurred_at=at,
        origin=origin,
        dimensions=dimensions,
        meters=counted,
        cost_nano_usd=None,
        period=f"{hour_of(at):%Y-%m}",
        content_hash=hash_of({"occurred_at": to_text(at), "dimensions": _texts(dimensions), "meters": counted}),
    )


def hash_of(counted: Mapping[str, object]) -> str:
    """Return the hash of the counted values and dimensions. Values that are for information only are not part of it."""
    return hashlib.sha256(json.dumps(counted, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _texts(dimensions: Dimensions) -> list[str | None]:
    return [dimensions.agent_id, dimensions.model, dimensions.provider, dimensions.project_id]
