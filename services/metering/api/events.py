"""Usage events: those of the ledger, and those that a tenant reports."""

from datetime import timedelta
from typing import Annotated, Any, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field

from services.metering import wiring
from services.metering.api.application import TENANT, app
from services.metering.api.shapes import Moment, all_meters
from services.metering.domain import ingestion, periods
from services.metering.domain.usage import Entry, Kind
from services.metering.operations import ingesting
from services.metering.table import ledger
from shared.http.answers import Answer, ListAnswer, ok
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.ids import VISIBLE
from shared.meters import Meter
from shared.tenancy.permissions import Role
from shared.times import TIME_TEXT, Rfc3339, to_text

_EVENTS = f"{TENANT}/usage/events"
_SHOWN = timedelta(hours=24)


class EventsQuery(PageQuery):
    """Which events: between two moments, half-open."""

    start: Annotated[Moment | None, Field(alias="from")] = None
    end: Annotated[Moment | None, Field(alias="to")] = None


class UsageEvent(BaseModel):
    """What was used at one moment; what it is not of, or is not known of it, is null."""

    event_id: str
    kind: Kind
    """`call` to a model, `download` of an artifact, `storage` for an hour, or `reported` by the tenant."""
    occurred_at: Rfc3339
    """Of a call: when it ended."""
    source: str | None
    """Of what was reported: by whom, and under which id."""
    id: str | None
    run_id: str | None
    attempt: int | None
    call: int | None
    request_id: str | None
    agent_id: str | None
    version: int | None
    project_id: str | None
    provider: str | None
    model: str | None
    meters: dict[Meter, int]
    cost_nano_usd: int | None
    price_version: str | None
    simulated: bool

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """As it is shown."""
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
            meters=all_meters(entry.meters),
            cost_nano_usd=entry.cost_nano_usd,
            price_version=origin.price_version,
            simulated=origin.simulated,
        )


class NewEvents(BaseModel):
    """Usage to be counted: each of the shape of a CloudEvent, and answered by itself."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[Any], Field(min_length=1, max_length=ingestion.MOST_AT_ONCE)]
    """`{id, source, type, time, subject?, data: {meters, provider?, model?, agent_id?, project_id?}}`"""


class Result(BaseModel):
    """What became of one event."""

    id: str | None
    """As it was sent; null when it has none."""
    status: ingesting.Answer
    reason: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    grouped_as: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    """`other` if the event is accepted but its agent, model, provider and project are not shown by themselves, because
    the hour has too many different ones; absent otherwise."""


class ResultsAnswer(Answer):
    """What became of each event, in the order in which they were sent."""

    results: list[Result]


class EventsAnswer(ListAnswer):
    """A page of usage events, newest first."""

    events: list[UsageEvent]


@app.route("GET", _EVENTS, least=Role.ANALYST)
def list_events(caller: Caller, call: CurrentCall, query: Annotated[EventsQuery, Query()]) -> Response[EventsAnswer]:
    """Usage events, newest first."""
    end = query.end or call.now
    start = query.start or end - _SHOWN
    periods.check_range(end - start)
    # As they were asked for: a default moves on between two pages.
    scope = (caller.tenant_id, "usage/events", *(to_text(asked) if asked else "" for asked in (query.start, query.end)))
    entries, place = ledger.list_entries(
        wiring.tenant_store(),
        caller.tenant_id,
        start=start,
        end=end,
        limit=query.limit,
        after=place_of(query.token, *scope, form=f"{TIME_TEXT}#{VISIBLE}"),
    )
    return ok(EventsAnswer(events=[UsageEvent.of(entry) for entry in entries], pagination=page_after(place, *scope)))


@app.route("POST", _EVENTS, least=Role.DEVELOPER, statuses=(200,), audited=False)
def ingest_events(caller: Caller, call: CurrentCall, body: Annotated[NewEvents, Body()]) -> Response[ResultsAnswer]:
    """Usage from outside, counted once by its own ids; sending it again is safe.

    A tenant may send 200 requests in 10 s. A request that exceeds them is 429 `TooManyRequests` with `Retry-After`, and
    nothing of it is counted.
    """
    refused = wiring.refused_tenants()
    ingested = ingesting.ingest(wiring.tenant_store(), caller.tenant_id, body.events, now=call.now, refused=refused)
    pairs = zip(body.events, ingested, strict=True)
    return ok(
        ResultsAnswer(
            results=[
                Result(id=_id_of(sent), status=one.answer, reason=one.reason, grouped_as=one.grouped_as)
                for sent, one in pairs
            ]
        )
    )


def _id_of(sent: object) -> str | None:
    match sent:
        case {"id": str(given)}:
            return given
        case _:
            return None
