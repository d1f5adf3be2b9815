"""Requests and responses about usage events."""

import re
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, BeforeValidator, Field

from services.metering.counters.schemas import MeterAmounts
from services.metering.ledger.domain.entries import LedgerEntry, UsageKind
from shared.http.pagination import PageQuery
from shared.http.responses import ListResponse
from shared.schema import DocumentedModel
from shared.times import TIMES_ONLY, Rfc3339


def _midnight(text: object) -> object:
    """Expand a day to its start in UTC."""
    return f"{text}T00:00:00Z" if isinstance(text, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else text


Moment = Annotated[
    AwareDatetime,
    TIMES_ONLY,
    BeforeValidator(_midnight),
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2999, 12, 31, tzinfo=UTC)),
]


class EventsQuery(PageQuery):
    """The time range of the events, half-open."""

    start: Annotated[Moment | None, Field(alias="from")] = None
    """The earliest time; a day means its start in UTC. The default is 24 hours before `to`."""
    end: Annotated[Moment | None, Field(alias="to")] = None
    """The time before which the events occurred; the default is now."""


class UsageEvent(DocumentedModel):
    """A usage event. Fields that do not apply, or whose value is unknown, are null."""

    event_id: str
    """The id in the ledger; for a call `run_id:attempt:call`."""
    kind: UsageKind
    """`call` to a model, `download` of an artifact, `storage` for an hour, or `reported` by the tenant."""
    occurred_at: Rfc3339
    """The end of a call."""
    source: str | None
    """The `source` of a reported event. `source` and `id` are as the tenant sent them, and null for other events."""
    id: str | None
    """The `id` of a reported event."""
    run_id: str | None
    attempt: int | None
    """The number of the attempt in the run, from 1."""
    call: int | None
    """The number of the call in the attempt, from 1."""
    request_id: str | None
    """The request that created the run."""
    agent_id: str | None
    version: int | None
    """The version of the agent."""
    project_id: str | None
    provider: str | None
    model: str | None
    meters: MeterAmounts
    cost_nano_usd: int | None
    """By the config's `price`, otherwise by the provider's list price; null if unknown."""
    price_version: str | None
    """The version of the price table behind `cost_nano_usd`, or `own` for the config's `price`."""
    simulated: bool
    """Whether the built-in provider answered. Simulated calls count like others."""
    usage_estimated: bool
    """Whether `tokens_out` is estimated from the received text, because the answer broke off."""

    @classmethod
    def of(cls, entry: LedgerEntry) -> Self:
        """Return the API representation of a ledger entry."""
        origin = entry.origin
        return cls(
            event_id=entry.event_id,
            kind=origin.kind,
            occurred_at=entry.occurred_at,
            source=origin.source,
            id=origin.reported_id,
            run_id=origin.run_id,
            attempt=origin.attempt,
            call=origin.call,
            request_id=origin.request_id,
            agent_id=entry.dimensions.agent_id,
            version=origin.agent_version,
            project_id=entry.dimensions.project_id,
            provider=entry.dimensions.provider,
            model=entry.dimensions.model,
            meters=MeterAmounts.of(entry.meters),
            cost_nano_usd=entry.cost_nano_usd,
            price_version=origin.price_version,
            simulated=origin.simulated,
            usage_estimated=origin.usage_estimated,
        )


class UsageEventsResponse(ListResponse):
    """A page of usage events, newest first."""

    events: list[UsageEvent]
