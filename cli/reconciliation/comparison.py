"""Comparison of the usage of one tenant in all services, and its repair.

    runs ── calls ──► ledger ── counted ──► hours, days, months ── events ──► billing ──► Stripe
                         └───── by month ────► budgets

Each service compares its own records; records of two services are compared here. A difference that is new, or that
changes between two comparisons, is pending.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from cli.admin import invoke_command
from cli.reconciliation.contracts import (
    BilledHourRecord,
    BudgetRecord,
    ClosedHourRecord,
    InvokeCommand,
    LedgerCall,
    MonthSpent,
    RecordedCall,
    ServiceCommands,
    added,
)
from cli.reconciliation.repair import repair
from cli.reconciliation.report import BillingGap, ReconciliationReport
from cli.target import Target
from shared.drift import Drift, Tally, drift_between, span_of_run
from shared.ids import first_at
from shared.meters import Meter
from shared.times import to_text, utc_now

DAYS = 60
MAX_DELIVERY_TIME = timedelta(minutes=15)
"""An event that was not handled within this time is a dead letter."""

_PAUSE_S = 2
_MAX_COMPARISONS_AFTER_REPAIR = 15


def list_tenants_by_usage(target: Target) -> list[str]:
    """Return the tenants that can be reconciled, by their tokens of this month, highest first."""
    tenants = [one for one in invoke_command(target, "list_tenants")["tenants"] if one["status"] != "deleting"]
    return [one["tenant_id"] for one in sorted(tenants, key=lambda one: -one["monthly_tokens"])]


@dataclass(slots=True)
class _LedgerSums:
    """The sums of the ledger and the closed hours, in which other records are compared with it."""

    calls: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """By time span of the runs."""
    spent: dict[str, MonthSpent] = field(default_factory=dict[str, MonthSpent])
    """By month of the budget."""
    hours: dict[str, ClosedHourRecord] = field(default_factory=dict[str, ClosedHourRecord])

    def add_spent(self, period: str, spent: MonthSpent) -> None:
        """Add usage to a month."""
        self.spent[period] = self.spent.get(period, MonthSpent()).plus(spent)


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
        second.keep_confirmed(first)
        return second

    def repair(self, report: ReconciliationReport) -> Iterator[str]:
        """Have the services correct the differences, and yield a line for each correction."""
        return repair(self._services, report, start=_start_of(self.now()))

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
    def _services(self) -> ServiceCommands:
        return ServiceCommands(self.tenant_id, self.invoke)

    def _compare_once(self) -> ReconciliationReport:
        comparison = _Comparison(self._services, self.now, _start_of(self.now()))
        ledger = comparison.compare_counters()
        comparison.compare_calls(ledger)
        comparison.compare_budgets(ledger)
        comparison.compare_billing(ledger)
        return comparison.report


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One comparison of all records."""

    services: ServiceCommands
    now: Callable[[], datetime]
    start: datetime
    report: ReconciliationReport = field(default_factory=ReconciliationReport)

    def compare_counters(self) -> _LedgerSums:
        """Compare the ledger with its counters, and return its sums."""
        ledger, start = _LedgerSums(), self.start.date()
        end = self.now().astimezone(UTC).date() + timedelta(days=1)
        while end > start:
            part = self.services.recount(start=start, end=end)
            end = part.recounted_from
            self.report.entries += part.entries
            self.report.add(part.drift)
            ledger.calls = added(ledger.calls, part.calls, plus=Tally.plus)
            ledger.spent = added(ledger.spent, part.spent, plus=MonthSpent.plus)
            ledger.hours |= part.hours
        end_of_months = self.now().astimezone(UTC).date() + timedelta(days=32)
        wrong = self.services.compare_months(start=start, end=end_of_months)
        of_whole_months = [one for one in self.report.drift if f"{one.at[:7]}-01" >= str(start)]
        self.report.add(list(_months(wrong, of_whole_months)))
        return ledger

    def compare_calls(self, ledger: _LedgerSums) -> None:
        """Compare the runs with the ledger, and add the usage that the ledger lacks to its months."""
        recorded = self.services.tally_runs(start=self.start, end=self.now())
        # The first span also has runs from before the start.
        first = span_of_run(f"run_{first_at(self.start)}")
        differing = [span for span, tally in recorded.items() if span > first and tally != ledger.calls.get(span)]
        for span in sorted(differing):
            self._compare_span(ledger, span)

    def _compare_span(self, ledger: _LedgerSums, span: str) -> None:
        calls = self.services.list_calls(span)
        counted = self.services.find_in_ledger(list(calls))
        for event_id, call in calls.items():
            self._compare_call(event_id, call, counted.get(event_id))
            if event_id not in counted:
                ledger.add_spent(call.period, MonthSpent.by_meters(call.meters))

    def _compare_call(self, event_id: str, call: RecordedCall, entry: LedgerCall | None) -> None:
        counted = entry.meters if entry else {}
        drift = drift_between(call.used, counted, place="ledger", at=to_text(call.ended_at), subject=event_id)
        is_young = self._is_young(call.ended_at)
        self.report.add(drift, pending=is_young and entry is None)
        if entry is None and not is_young:
            self.report.missing_events.append(event_id)

    def compare_budgets(self, ledger: _LedgerSums) -> None:
        """Compare the ledger with the budgets of the months that are compared as a whole."""
        months = sorted({*ledger.spent, *_months_since(self.start, self.now())})
        periods = [period for period in months if f"{period}-01" >= str(self.start.date())]
        budgets = self.services.read_budgets(periods)
        for period in periods:
            expected = ledger.spent.get(period, MonthSpent())
            self._compare_budget(period, expected, budgets.get(period, BudgetRecord()))

    def _compare_budget(self, period: str, expected: MonthSpent, budget: BudgetRecord) -> None:
        drift = list(drift_between(expected.numbers, budget.numbers, place="budget", at=period))
        # Within minutes, the sweep settles reservations that a crash has left open.
        self.report.add(drift, pending=budget.open > 0)
        if drift and not budget.open:
            self.report.correct_budgets[period] = expected

    def compare_billing(self, ledger: _LedgerSums) -> None:
        """Compare the closed hours with those that billing has received, and add billing's own differences."""
        billing = self.services.read_billing(since=self.start)
        self.report.add(billing.drift)
        self.report.add(billing.pending, pending=True)
        for hour in sorted({*ledger.hours, *billing.hours}):
            closed = ledger.hours.get(hour, ClosedHourRecord())
            self._compare_hour(hour, closed, billing.hours.get(hour, BilledHourRecord()))

    def _compare_hour(self, hour: str, closed: ClosedHourRecord, billed: BilledHourRecord) -> None:
        correct = _correct_hour(closed.numbers, self.report.drift, hour=hour)
        drift = list(drift_between(correct, billed.numbers, place="billing", at=hour))
        is_young = closed.at is not None and self._is_young(closed.at)
        self.report.add(drift, pending=is_young)
        if drift and not is_young:
            missing = sorted({*range(closed.revision + 1)} - {*billed.revs})
            self.report.billing_gaps[hour] = BillingGap(missing, {one.meter: -one.excess for one in drift})

    def _is_young(self, at: datetime) -> bool:
        """Return whether an event of this time may still be under way."""
        return self.now() - at < MAX_DELIVERY_TIME


def _start_of(now: datetime) -> datetime:
    """Return 60 days ago, or the start of the previous month if that is earlier: budgets are compared as a whole."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month_before = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    return min(today - timedelta(days=DAYS), month_before)


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


def _months_since(start: datetime, now: datetime) -> Iterator[str]:
    month = start.date().replace(day=1)
    while month <= now.date():
        yield f"{month:%Y-%m}"
        month = (month + timedelta(days=32)).replace(day=1)
