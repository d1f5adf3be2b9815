"""HTTP in: what was used."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Required, Self, TypedDict

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from services.metering import wiring
from services.metering.domain import ingestion, periods
from services.metering.domain.periods import GroupBy, Period, Row
from services.metering.domain.usage import Entry, Kind
from services.metering.operations import ingesting, reading
from services.metering.table import ledger
from shared.http.answers import Answer, ListAnswer, ok
from shared.http.app import HttpApp
from shared.http.call import Call, Caller, CurrentCall
from shared.http.pagination import PageQuery, page_after, place_of
from shared.meters import Meter, Meters
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import Rfc3339, to_text

app = HttpApp(access=wiring.access, store=wiring.tenant_store)

_USAGE = "/v1/tenants/{tenant_id}/usage"
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)
_EVENTS_SHOWN = timedelta(hours=24)


def _first_day(text: object) -> object:
    """A month stands for its first day."""
    return f"{text}-01" if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}", text) else text


def _midnight(text: object) -> object:
    """A day stands for its start in UTC."""
    return f"{text}T00:00:00Z" if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else text


Day = Annotated[date, BeforeValidator(_first_day), Field(ge=_FIRST_DAY, le=_LAST_DAY)]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_midnight),
    Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2999, 12, 31, tzinfo=UTC)),
]


class UsageQuery(BaseModel):
    """Which usage: days in UTC, half-open; a month such as `2026-11` stands for its first day."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[Day | None, Field(alias="from")] = None
    end: Annotated[Day | None, Field(alias="to")] = None
    group_by: GroupBy | None = None


class EventsQuery(PageQuery):
    """Which events: between two moments, half-open."""

    start: Annotated[Moment | None, Field(alias="from")] = None
    end: Annotated[Moment | None, Field(alias="to")] = None


def _is_absent(value: str | None) -> bool:
    return value == _ABSENT


_ABSENT = ""
Group = Annotated[str | None, Field(exclude_if=_is_absent)]
"""What a row is of; absent unless it was asked to group by this, null where there is none."""


class Usage(BaseModel):
    """How much was used, in all or of what was asked to group by."""

    meters: dict[Meter, int]
    cost_nano_usd: int | None
    """The provider's list price as far as it is known; null when it is known of nothing in this row."""
    agent_id: Group = _ABSENT
    model: Group = _ABSENT
    provider: Group = _ABSENT
    project_id: Group = _ABSENT


class DailyUsage(Usage):
    """The usage of a day."""

    date: date


class MonthlyUsage(Usage):
    """The usage of a month."""

    month: str


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
            meters=_all_meters(entry.meters),
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


class ResultsAnswer(Answer):
    """What became of each event, in the order in which they were sent."""

    results: list[Result]


class DailyAnswer(ListAnswer):
    """Usage by day, the newest first; days without any are left out."""

    daily: list[DailyUsage]


class MonthlyAnswer(ListAnswer):
    """Usage by month, the newest first; months without any are left out."""

    monthly: list[MonthlyUsage]


class EventsAnswer(ListAnswer):
    """A page of usage events, newest first."""

    events: list[UsageEvent]


@app.route("GET", f"{_USAGE}/daily", least=Role.ANALYST)
def list_daily(caller: Caller, call: CurrentCall, query: Annotated[UsageQuery, Query()]) -> Response[DailyAnswer]:
    """Usage by day."""
    rows = _rows(caller, call, query, period=Period.DAY)
    return ok(DailyAnswer(daily=[DailyUsage(date=row.start, **_of(row, query.group_by)) for row in rows]))


@app.route("GET", f"{_USAGE}/monthly", least=Role.ANALYST)
def list_monthly(caller: Caller, call: CurrentCall, query: Annotated[UsageQuery, Query()]) -> Response[MonthlyAnswer]:
    """Usage by month."""
    rows = _rows(caller, call, query, period=Period.MONTH)
    return ok(
        MonthlyAnswer(monthly=[MonthlyUsage(month=f"{row.start:%Y-%m}", **_of(row, query.group_by)) for row in rows])
    )


@app.route("GET", f"{_USAGE}/events", least=Role.ANALYST)
def list_events(caller: Caller, call: CurrentCall, query: Annotated[EventsQuery, Query()]) -> Response[EventsAnswer]:
    """Usage events, newest first."""
    end = query.end or call.now
    start = query.start or end - _EVENTS_SHOWN
    periods.check_range(end - start)
    # As they were asked for: a default moves on between two pages.
    scope = (caller.tenant_id, "usage/events", *(to_text(asked) if asked else "" for asked in (query.start, query.end)))
    entries, place = ledger.list_entries(
        wiring.tenant_store(),
        caller.tenant_id,
        start=start,
        end=end,
        limit=query.limit,
        after=place_of(query.token, *scope),
    )
    return ok(EventsAnswer(events=[UsageEvent.of(entry) for entry in entries], pagination=page_after(place, *scope)))


@app.route("POST", f"{_USAGE}/events", least=Role.DEVELOPER, statuses=(200,), audited=False)
def ingest_events(caller: Caller, call: CurrentCall, body: Annotated[NewEvents, Body()]) -> Response[ResultsAnswer]:
    """Usage from outside, counted once by its own ids; sending it again is safe."""
    ingested = ingesting.ingest(wiring.tenant_store(), caller.tenant_id, body.events, now=call.now)
    pairs = zip(body.events, ingested, strict=True)
    return ok(
        ResultsAnswer(results=[Result(id=_id_of(sent), status=one.answer, reason=one.reason) for sent, one in pairs])
    )


def _id_of(sent: object) -> str | None:
    match sent:
        case {"id": str(given)}:
            return given
        case _:
            return None


def _rows(caller: TenantContext, call: Call, query: UsageQuery, *, period: Period) -> list[Row]:
    days = periods.days_asked(query.start, query.end, period=period, today=call.now.date())
    return reading.usage_of(wiring.tenant_store(), caller.tenant_id, days, period=period, group_by=query.group_by)


class _Of(TypedDict, total=False):
    """The fields that every row has."""

    meters: Required[dict[Meter, int]]
    cost_nano_usd: Required[int | None]
    agent_id: str | None
    model: str | None
    provider: str | None
    project_id: str | None


def _of(row: Row, group_by: GroupBy | None) -> _Of:
    said = _Of(meters=_all_meters(row.amounts.meters), cost_nano_usd=row.amounts.cost_nano_usd)
    match group_by:
        case GroupBy.AGENT:
            said["agent_id"] = row.group
        case GroupBy.MODEL:
            said["model"] = row.group
        case GroupBy.PROVIDER:
            said["provider"] = row.group
        case GroupBy.PROJECT:
            said["project_id"] = row.group
        case None:
            pass
    return said


def _all_meters(meters: Meters) -> dict[Meter, int]:
    return {meter: meters.get(meter, 0) for meter in Meter}


handler = app
