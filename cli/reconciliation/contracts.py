"""The responses of the services' commands that the reconciliation reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from pydantic import AwareDatetime, BaseModel

from shared.drift import Drift, Tally
from shared.times import to_text

_BUDGET_METERS = ("tokens_in", "tokens_out", "tokens_uncertain")
_MAX_CALLS = 1_000
"""The maximum number of calls that one command looks up."""


class MonthSpent(BaseModel):
    """The usage that is deducted from the budget of a month."""

    requests: int = 0
    tokens: int = 0

    @classmethod
    def by_meters(cls, meters: Mapping[str, int]) -> "MonthSpent":
        """Return the deduction for a call with these meters."""
        return cls(requests=meters.get("requests", 0), tokens=sum(meters.get(name, 0) for name in _BUDGET_METERS))

    def plus(self, other: "MonthSpent") -> "MonthSpent":
        """Return the sum of both."""
        return MonthSpent(requests=self.requests + other.requests, tokens=self.tokens + other.tokens)

    @property
    def numbers(self) -> dict[str, int]:
        """The amounts by name."""
        return {"requests": self.requests, "tokens": self.tokens}


class BudgetRecord(MonthSpent):
    """The budget of a month."""

    open: int = 0
    """The number of calls that are reserved and not settled."""


class LedgerCall(BaseModel):
    """A call in the ledger."""

    period: str
    """The month of its budget."""
    meters: dict[str, int]


class RecordedCall(LedgerCall):
    """An ended call of a run."""

    ended_at: AwareDatetime

    @property
    def used(self) -> dict[str, int]:
        """The meters with an amount."""
        return {name: amount for name, amount in self.meters.items() if amount}


class ClosedHourRecord(BaseModel):
    """A closed hour in metering."""

    numbers: dict[str, int] = {}
    """The amounts by meter, and the number of `events`."""
    revision: int = -1
    """The number of the last revision; -1: the hour is not closed."""
    at: AwareDatetime | None = None
    """The time of the last revision."""


class BilledHourRecord(BaseModel):
    """An hour as billing has received it."""

    numbers: dict[str, int] = {}
    revs: list[int] = []
    """The numbers of the received revisions."""


class LedgerPart(BaseModel):
    """The response to metering's `recount`."""

    recounted_from: date
    """The oldest day that the part covers."""
    entries: int
    drift: list[Drift]
    spent: dict[str, MonthSpent]
    """By month of the budget."""
    calls: dict[str, Tally]
    """By time span of the runs."""
    hours: dict[str, ClosedHourRecord]


class BillingRecords(BaseModel):
    """The response to billing's `compare_records`."""

    drift: list[Drift]
    pending: list[Drift]
    hours: dict[str, BilledHourRecord]


class _DriftResponse(BaseModel):
    drift: list[Drift]


class _CorrectedResponse(BaseModel):
    corrected: list[Drift]


class _TalliesResponse(BaseModel):
    calls: dict[str, Tally]
    after: str | None


class _RunCallsResponse(BaseModel):
    calls: dict[str, RecordedCall]


class _LedgerCallsResponse(BaseModel):
    calls: dict[str, LedgerCall]


class _BudgetsResponse(BaseModel):
    budgets: dict[str, BudgetRecord]


class _BudgetCorrection(BaseModel):
    before: MonthSpent


class _Published(BaseModel):
    published: list[str]


class _PublishedCorrection(BaseModel):
    revision: int


class SentEntry(BaseModel):
    """A meter event that a repair has sent to Stripe."""

    identifier: str
    quantity: int
    state: str


class _RepairResponse(BaseModel):
    entries: list[SentEntry]


class InvokeCommand(Protocol):
    """Run a command of a service and return its response."""

    def __call__(self, service: str, command: str, /, **arguments: object) -> dict[str, Any]:
        """Run a command."""
        ...


ResponseT = TypeVar("ResponseT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ServiceCommands:
    """The commands of the services for one tenant."""

    tenant_id: str
    invoke: InvokeCommand

    def recount(self, *, start: date, end: date) -> LedgerPart:
        """Have metering compare these days of the ledger with their counters, from the newest; it may stop early."""
        return self._ask(LedgerPart, "metering", "recount", start=str(start), end=str(end))

    def compare_months(self, *, start: date, end: date) -> list[Drift]:
        """Have metering compare the months with their days."""
        return self._ask(_DriftResponse, "metering", "months", start=str(start), end=str(end)).drift

    def tally_runs(self, *, start: datetime, end: datetime) -> dict[str, Tally]:
        """Return the tallies of the calls of all runs that were created in this time, by time span."""
        found: dict[str, Tally] = {}
        after: str | None = None
        while True:
            query = {"start": to_text(start), "end": to_text(end), "after": after}
            page = self._ask(_TalliesResponse, "runs", "tallies", **query)
            found = added(found, page.calls, plus=Tally.plus)
            after = page.after
            if after is None:
                return found

    def list_calls(self, span: str) -> dict[str, RecordedCall]:
        """Return the ended calls of the runs of a time span, by the id of the usage event."""
        return self._ask(_RunCallsResponse, "runs", "calls", span=span).calls

    def find_in_ledger(self, event_ids: list[str]) -> dict[str, LedgerCall]:
        """Return those of these calls that are in the ledger."""
        found: dict[str, LedgerCall] = {}
        for first in range(0, len(event_ids), _MAX_CALLS):
            page = event_ids[first : first + _MAX_CALLS]
            found |= self._ask(_LedgerCallsResponse, "metering", "find_calls", event_ids=page).calls
        return found

    def read_budgets(self, periods: list[str]) -> dict[str, BudgetRecord]:
        """Return the budgets of these months; months without one are omitted."""
        return self._ask(_BudgetsResponse, "runs", "budgets", periods=periods).budgets

    def read_billing(self, *, since: datetime) -> BillingRecords:
        """Have billing compare its own records, and return the hours that it has received."""
        return self._ask(BillingRecords, "billing", "compare_records", since=to_text(since))

    def republish_calls(self, event_ids: list[str]) -> list[str]:
        """Publish usage events of runs again, and return their ids."""
        return self._ask(_Published, "runs", "republish", event_ids=event_ids).published

    def republish_hour(self, hour: str, revisions: list[int]) -> list[str]:
        """Publish revisions of an hour again, and return the ids of the events."""
        return self._ask(_Published, "metering", "republish", hour=hour, revisions=revisions).published

    def publish_correction(self, hour: str, *, meters: Mapping[str, int], events: int) -> int:
        """Publish a correction of an hour, and return the number of its revision."""
        correction = {"hour": hour, "meters": dict(meters), "events": events}
        return self._ask(_PublishedCorrection, "metering", "publish_correction", **correction).revision

    def correct_budget(self, period: str, spent: MonthSpent) -> MonthSpent:
        """Set the usage of a month's budget, and return the previous one."""
        return self._ask(_BudgetCorrection, "runs", "correct_budget", period=period, **spent.numbers).before

    def correct_days(self, *, start: date, end: date) -> list[Drift]:
        """Correct the counters of these days, and return the corrected numbers."""
        return self._ask(_CorrectedResponse, "metering", "correct_days", start=str(start), end=str(end)).corrected

    def correct_month(self, month: str) -> list[Drift]:
        """Correct the counters of a month, and return the corrected numbers."""
        return self._ask(_CorrectedResponse, "metering", "correct_month", month=f"{month}-01").corrected

    def repair_billing(self, *, since: datetime) -> list[SentEntry]:
        """Have billing correct its own records, and return the new meter events."""
        return self._ask(_RepairResponse, "billing", "repair", since=to_text(since)).entries

    def _ask(self, response: type[ResponseT], service: str, command: str, **arguments: object) -> ResponseT:
        return response.model_validate(self.invoke(service, command, tenant_id=self.tenant_id, **arguments))


ValueT = TypeVar("ValueT")


def added(
    one: Mapping[str, ValueT], other: Mapping[str, ValueT], *, plus: Callable[[ValueT, ValueT], ValueT]
) -> dict[str, ValueT]:
    """Return the sums of two tables by key."""
    return {
        **one,
        **{key: plus(one[key], value) if key in one else value for key, value in other.items()},
    }
