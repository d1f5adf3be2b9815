"""Comparison of the usage of one tenant in all services, and its repair.

    runs ── calls ──► ledger ── counted ──► hours, days, months ── events ──► billing ──► Stripe
                         └───── by month ────► budgets

Each service compares its own records; records of two services are compared here. A difference that is new, or that
changes between two comparisons, is pending.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, Self

from cli.admin import invoke_command
from cli.target import Target
from shared.drift import Drift, drift_between, span_of_run
from shared.ids import first_at
from shared.meters import Meter
from shared.times import from_text, to_text, utc_now

DAYS = 60
MAX_DELIVERY_TIME = timedelta(minutes=15)
"""An event that was not handled within this time is a dead letter."""

_PAUSE_S = 2
_MAX_COMPARISONS_AFTER_REPAIR = 15
_BUDGET_METERS = ("tokens_in", "tokens_out", "tokens_uncertain")


class InvokeCommand(Protocol):
    """Run a command of a service and return its response."""

    def __call__(self, service: str, command: str, /, **arguments: object) -> dict[str, Any]:
        """Run a command."""
        ...


@dataclass(slots=True)
class ReconciliationReport:
    """The result of one comparison."""

    drift: list[Drift] = field(default_factory=list[Drift])
    pending: list[Drift] = field(default_factory=list[Drift])
    entries: int = 0
    """The number of ledger entries that were counted."""
    billing_gaps: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The closed hours that differ in billing, with the missing revisions and amounts of each."""
    correct_budgets: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """The correct amounts of the budgets that differ, by period."""
    missing_events: list[str] = field(default_factory=list[str])
    """The ids of usage events that are not in the ledger."""

    def add(self, found: Sequence[Drift], *, pending: bool = False) -> None:
        """Add differences."""
        (self.pending if pending else self.drift).extend(found)


def list_tenants_by_usage(target: Target) -> list[str]:
    """Return the tenants that can be reconciled, by their tokens of this month, highest first."""
    tenants = [one for one in invoke_command(target, "list_tenants")["tenants"] if one["status"] != "deleting"]
    return [one["tenant_id"] for one in sorted(tenants, key=lambda one: -one["monthly_tokens"])]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The comparison of one tenant's usage."""

    tenant_id: str
    invoke: InvokeCommand
    now: Callable[[], datetime]
    pause: Callable[[float], None]

    @classmethod
    def of(cls, target: Target, tenant_id: str) -> Self:
        """Return the comparison for a tenant of an environment."""

        def invoke(service: str, command: str, /, **arguments: object) -> dict[str, Any]:
            return invoke_command(target, command, service=service, **arguments)

        return cls(tenant_id, invoke, now=utc_now, pause=time.sleep)

    def compare(self) -> ReconciliationReport:
        """Compare twice, and report the differences that remain; those that are new in the second time are pending."""
        first = self._compare_once()
        if not first.drift:
            return first
        self.pause(_PAUSE_S)
        second = self._compare_once()
        known = {_identity(one) for one in first.drift}
        second.add([one for one in second.drift if _identity(one) not in known], pending=True)
        second.drift = [one for one in second.drift if _identity(one) in known]
        return second

    def repair(self, report: ReconciliationReport) -> Iterator[str]:
        """Have the services correct the differences, and yield a line for each correction."""
        places = {one.place for one in report.drift}
        if report.missing_events and "ledger" in places:
            for event_id in self._invoke("runs", "say_again", event_ids=report.missing_events)["said"]:
                yield f"usage.recorded published again: {event_id}"
        yield from self._correct_counters(report)
        for period, spent in report.correct_budgets.items():
            before = self._invoke("runs", "correct_budget", period=period, **spent)["before"]
            yield f"budget of {period} corrected from {before} to {spent}"
        for hour, gap in report.billing_gaps.items():
            yield self._correct_billing(hour, gap)
        if places & {"sync ledger", "stripe"}:
            made = self._invoke("billing", "repair", since=to_text(self._start))["entries"]
            yield from (f"meter event {one['identifier']}: {one['quantity']}, {one['state']}" for one in made)

    def settle(self) -> ReconciliationReport:
        """Compare until no difference is left, at most 16 times."""
        report = self.compare()
        for _ in range(_MAX_COMPARISONS_AFTER_REPAIR):
            if not report.drift:
                break
            self.pause(_PAUSE_S)
            report = self.compare()
        return report

    @property
    def _start(self) -> datetime:
        """60 days ago, or the beginning of the previous month if that is earlier: a budget is compared as a whole."""
        today = self.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        month_before = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        return min(today - timedelta(days=DAYS), month_before)

    def _invoke(self, service: str, command: str, **arguments: object) -> dict[str, Any]:
        return self.invoke(service, command, tenant_id=self.tenant_id, **arguments)

    def _compare_once(self) -> ReconciliationReport:
        report, start = ReconciliationReport(), self._start
        tallies, spent, hours = self._compare_counters(report, start)
        lost = self._compare_calls(report, tallies, start)
        self._compare_budgets(report, _added(spent, lost), start)
        self._compare_billing(report, hours, start)
        return report

    def _compare_counters(
        self, report: ReconciliationReport, start: datetime
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Compare the ledger with its counters; return its calls, its tokens by month, and the closed hours."""
        tallies: dict[str, Any] = {}
        spent: dict[str, dict[str, int]] = {}
        hours: dict[str, Any] = {}
        end = self.now().astimezone(UTC).date() + timedelta(days=1)
        while end > start.date():
            part = self._invoke("metering", "recount", start=str(start.date()), end=str(end))
            end = date.fromisoformat(part["recounted_from"])
            report.entries += part["entries"]
            report.add(_drift_of(part["drift"]))
            tallies = _added(tallies, part["calls"])
            spent = _added(spent, part["spent"])
            hours |= part["hours"]
        days = {"start": str(start.date()), "end": str(self.now().astimezone(UTC).date() + timedelta(days=32))}
        wrong = _drift_of(self._invoke("metering", "months", **days)["drift"])
        report.add(list(_months(wrong, [one for one in report.drift if f"{one.at[:7]}-01" >= str(start.date())])))
        return tallies, spent, hours

    def _compare_calls(
        self, report: ReconciliationReport, counted: Mapping[str, Any], start: datetime
    ) -> dict[str, dict[str, int]]:
        """Compare the runs with the ledger; return the usage missing in the ledger, by month of the budget."""
        recorded: dict[str, Any] = {}
        cursor: str | None = None
        while True:
            query = {"start": to_text(start), "end": to_text(self.now()), "after": cursor}
            page = self._invoke("runs", "tallies", **query)
            recorded, cursor = _added(recorded, page["calls"]), page["after"]
            if cursor is None:
                break
        # The first span also has runs from before the start.
        first = span_of_run(f"run_{first_at(start)}")
        differing = [span for span, tally in recorded.items() if span > first and not _same(tally, counted.get(span))]
        lost: dict[str, dict[str, int]] = {}
        for span in sorted(differing):
            lost = _added(lost, self._compare_calls_of(report, span))
        return lost

    def _compare_calls_of(self, report: ReconciliationReport, span: str) -> dict[str, dict[str, int]]:
        calls: dict[str, Any] = self._invoke("runs", "calls", span=span)["calls"]
        counted: dict[str, Any] = {}
        ids = list(calls)
        for first in range(0, len(ids), 1000):
            counted |= self._invoke("metering", "find_calls", event_ids=ids[first : first + 1000])["calls"]
        lost: dict[str, dict[str, int]] = {}
        for event_id, call in calls.items():
            entry = counted.get(event_id)
            found = list(drift_between(*_meters(call, entry), place="ledger", at=call["ended_at"], subject=event_id))
            young = self.now() - from_text(call["ended_at"]) < MAX_DELIVERY_TIME
            report.add(found, pending=young and entry is None)
            if entry is None:
                lost = _added(lost, {call["period"]: _spent(call["meters"])})
                report.missing_events += [] if young else [event_id]
        return lost

    def _compare_budgets(
        self, report: ReconciliationReport, spent: Mapping[str, dict[str, int]], start: datetime
    ) -> None:
        """Compare the ledger with the budgets of the months that are compared as a whole."""
        whole = sorted({*spent, *_months_since(start, self.now())})
        periods = [period for period in whole if f"{period}-01" >= str(start.date())]
        budgets = self._invoke("runs", "budgets", periods=periods)["budgets"]
        for period in periods:
            expected = spent.get(period, {"requests": 0, "tokens": 0})
            budget = budgets.get(period, {"requests": 0, "tokens": 0, "open": 0})
            found = {name: budget[name] for name in ("requests", "tokens")}
            drift = list(drift_between(expected, found, place="budget", at=period))
            # Within minutes, the sweep settles reservations that a crash has left open.
            report.add(drift, pending=budget["open"] > 0)
            if drift and not budget["open"]:
                report.correct_budgets[period] = expected

    def _compare_billing(self, report: ReconciliationReport, closed: Mapping[str, Any], start: datetime) -> None:
        """Compare the closed hours with those that billing has received, and add billing's own differences."""
        billing = self._invoke("billing", "books", since=to_text(start))
        report.add(_drift_of(billing["drift"]))
        report.add(_drift_of(billing["pending"]), pending=True)
        for hour in sorted({*closed, *billing["hours"]}):
            here = closed.get(hour, {"numbers": {}, "revision": -1, "at": None})
            received = billing["hours"].get(hour, {"numbers": {}, "revs": []})
            correct = _correct_hour(here["numbers"], report.drift, hour=hour)
            drift = list(drift_between(correct, received["numbers"], place="billing", at=hour))
            young = here["at"] is not None and self.now() - from_text(here["at"]) < MAX_DELIVERY_TIME
            report.add(drift, pending=young)
            if drift and not young:
                revisions = sorted({*range(here["revision"] + 1)} - {*received["revs"]})
                amounts = {one.meter: -one.excess for one in drift}
                report.billing_gaps[hour] = {"revisions": revisions, "amounts": amounts}

    def _correct_counters(self, report: ReconciliationReport) -> Iterator[str]:
        days = sorted({one.at[:10] for one in report.drift if one.place in {"hour", "closed hour", "day"}})
        for day in days:
            after = str(date.fromisoformat(day) + timedelta(days=1))
            yield from _describe(self._invoke("metering", "correct_days", start=day, end=after))
        for month in sorted({one.at for one in report.drift if one.place == "month"}):
            yield from _describe(self._invoke("metering", "correct_month", month=f"{month}-01"))

    def _correct_billing(self, hour: str, gap: Mapping[str, Any]) -> str:
        """Publish the missing revisions of an hour again, or else a correction, and describe it."""
        republished: list[str] = []
        if gap["revisions"]:
            republished = self._invoke("metering", "say_again", hour=hour, revisions=gap["revisions"])["said"]
        if republished:
            return f"published again: {', '.join(republished)}"
        meters = {name: amount for name, amount in gap["amounts"].items() if name != "events"}
        events = gap["amounts"].get("events", 0)
        correction = self._invoke("metering", "tell", hour=hour, meters=meters, events=events)
        return f"usage.corrected published: {hour} revision {correction['revision']}, {meters}"


def _identity(drift: Drift) -> tuple[object, ...]:
    return drift.place, drift.at, drift.meter, drift.subject, drift.excess


def _drift_of(rows: Sequence[Mapping[str, Any]]) -> list[Drift]:
    return [Drift(**row) for row in rows]


def _describe(response: Mapping[str, Any]) -> Iterator[str]:
    for one in _drift_of(response["corrected"]):
        number = f"{one.place} {one.at} {one.subject or ''} {one.meter}".replace("  ", " ")
        yield f"{number} corrected from {one.found} to {one.expected}"


def _added(one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return the sums of two tables of numbers."""
    added = {key: dict(numbers) for key, numbers in one.items()}
    for key, numbers in other.items():
        there = added.setdefault(key, {})
        for name, amount in numbers.items():
            there[name] = there.get(name, 0) + amount
    return added


def _same(one: Mapping[str, int], other: Mapping[str, int] | None) -> bool:
    """Return whether two tallies are of the same calls; marks are sums modulo 2^64."""
    return other is not None and one["calls"] == other["calls"] and (one["mark"] - other["mark"]) % 2**64 == 0


def _months(found: Sequence[Drift], days: Sequence[Drift]) -> Iterator[Drift]:
    """Yield the months whose difference is not explained by the differences of their days."""
    wrong = {(one.at, one.subject, one.meter): one for one in found}
    excess: dict[tuple[str, str | None, str], int] = {}
    for one in days:
        if one.place == "day":
            key = (one.at[:7], one.subject, one.meter)
            excess[key] = excess.get(key, 0) + one.excess
    for key in sorted({*wrong, *excess}, key=str):
        at, subject, meter = key
        one = wrong.get(key, Drift("month", at, meter, 0, 0, subject))
        if one.excess + excess.get(key, 0):
            yield Drift("month", at, meter, one.expected - excess.get(key, 0), one.found, subject)


def _correct_hour(numbers: Mapping[str, int], drift: Sequence[Drift], *, hour: str) -> dict[str, int]:
    """Return the correct numbers of a closed hour."""
    correct = dict(numbers)
    for one in drift:
        if one.place == "closed hour" and hour.startswith(one.at) and one.meter in {"events", *correct, *Meter}:
            correct[one.meter] = correct.get(one.meter, 0) - one.excess
    return {name: amount for name, amount in correct.items() if amount}


def _meters(call: Mapping[str, Any], entry: Mapping[str, Any] | None) -> tuple[dict[str, int], dict[str, int]]:
    used = {name: amount for name, amount in call["meters"].items() if amount}
    return used, entry["meters"] if entry else {}


def _spent(meters: Mapping[str, int]) -> dict[str, int]:
    return {"requests": meters.get("requests", 0), "tokens": sum(meters.get(name, 0) for name in _BUDGET_METERS)}


def _months_since(start: datetime, now: datetime) -> Iterator[str]:
    month = start.date().replace(day=1)
    while month <= now.date():
        yield f"{month:%Y-%m}"
        month = (month + timedelta(days=32)).replace(day=1)


def rows_of(tenant_id: str, found: Sequence[Drift]) -> list[dict[str, Any]]:
    """Return the differences as rows for JSON."""
    return [{"tenant_id": tenant_id, **asdict(one)} for one in found]
