"""Comparing what the services say of one tenant's usage, and having them put it right.

    runs ── calls ──► ledger ── recounted ──► hours, days, months ── announced ──► billing ──► Stripe
                         └───── by month ────► budgets

Each service compares what it keeps itself; what two of them say is compared here. What is on its way is pending: it
is young, or moves between two looks.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, Self

from cli.admin import ask
from cli.target import Target
from shared.drift import Drift, drift_between, span_of_run
from shared.ids import first_at
from shared.meters import Meter
from shared.times import from_text, to_text, utc_now

DAYS = 60
ON_ITS_WAY = timedelta(minutes=15)
"""After so long an event that was not heard lies in the dead letters."""

_PAUSE_S = 2
_LOOKS_AFTER_REPAIR = 15
_OF_SPENT = ("tokens_in", "tokens_out", "tokens_uncertain")


class Ask(Protocol):
    """Has a service carry out a command."""

    def __call__(self, service: str, command: str, /, **given: object) -> dict[str, Any]:
        """Ask it."""
        ...


@dataclass(slots=True)
class Look:
    """What one look has found."""

    drift: list[Drift] = field(default_factory=list[Drift])
    pending: list[Drift] = field(default_factory=list[Drift])
    entries: int = 0
    """Of the ledger, recounted."""
    heard: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The closed hours with what billing lacks of each: the revisions, and the difference."""
    budgets: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """What the budgets that differ should say."""
    missing: list[str] = field(default_factory=list[str])
    """The usage events that the ledger lacks."""

    def add(self, found: Sequence[Drift], *, pending: bool = False) -> None:
        """Take in what was found."""
        (self.pending if pending else self.drift).extend(found)


def tenants_with_books(target: Target) -> list[str]:
    """The tenants that can be reconciled, those first that have used most this month."""
    tenants = [one for one in ask(target, "list_tenants")["tenants"] if one["status"] != "deleting"]
    return [one["tenant_id"] for one in sorted(tenants, key=lambda one: -one["monthly_tokens"])]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One tenant, and the services to ask."""

    tenant_id: str
    ask: Ask
    now: Callable[[], datetime]
    pause: Callable[[float], None]

    @classmethod
    def of(cls, target: Target, tenant_id: str) -> Self:
        """A tenant of this mesh."""

        def asked(service: str, command: str, /, **given: object) -> dict[str, Any]:
            return ask(target, command, service=service, **given)

        return cls(tenant_id, asked, now=utc_now, pause=time.sleep)

    def look_twice(self) -> Look:
        """What is wrong, and was so a moment before as well; the rest of what differs is on its way."""
        first = self._look()
        if not first.drift:
            return first
        self.pause(_PAUSE_S)
        second = self._look()
        known = {_difference(one) for one in first.drift}
        second.add([one for one in second.drift if _difference(one) not in known], pending=True)
        second.drift = [one for one in second.drift if _difference(one) in known]
        return second

    def repair(self, look: Look) -> Iterator[str]:
        """Have the services put right what is wrong; says what was done."""
        places = {one.place for one in look.drift}
        if look.missing and "ledger" in places:
            for event_id in self._ask("runs", "say_again", event_ids=look.missing)["said"]:
                yield f"usage.recorded said again: {event_id}"
        yield from self._correct_counters(look)
        for period, spent in look.budgets.items():
            before = self._ask("runs", "correct_budget", period=period, **spent)["before"]
            yield f"budget of {period} corrected: spent {before} is {spent}"
        for hour, lacking in look.heard.items():
            yield self._tell_billing(hour, lacking)
        if places & {"sync ledger", "stripe"}:
            made = self._ask("billing", "repair", since=to_text(self._start))["entries"]
            yield from (f"meter event {one['identifier']}: {one['quantity']}, {one['state']}" for one in made)

    def settle(self) -> Look:
        """Look again until nothing is wrong any more, or it has been too long."""
        look = self.look_twice()
        for _ in range(_LOOKS_AFTER_REPAIR):
            if not look.drift:
                break
            self.pause(_PAUSE_S)
            look = self.look_twice()
        return look

    @property
    def _start(self) -> datetime:
        """So long ago, or when the month before this one began: a budget is compared as a whole."""
        today = self.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        month_before = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        return min(today - timedelta(days=DAYS), month_before)

    def _ask(self, service: str, command: str, **given: object) -> dict[str, Any]:
        return self.ask(service, command, tenant_id=self.tenant_id, **given)

    def _look(self) -> Look:
        look, start = Look(), self._start
        tallies, spent, hours = self._recount(look, start)
        lost = self._compare_calls(look, tallies, start)
        self._compare_budgets(look, _added(spent, lost), start)
        self._compare_billing(look, hours, start)
        return look

    def _recount(self, look: Look, start: datetime) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The ledger against its own counters; gives back what the others are compared with."""
        tallies: dict[str, Any] = {}
        spent: dict[str, dict[str, int]] = {}
        hours: dict[str, Any] = {}
        end = self.now().astimezone(UTC).date() + timedelta(days=1)
        while end > start.date():
            said = self._ask("metering", "recount", start=str(start.date()), end=str(end))
            end = date.fromisoformat(said["recounted_from"])
            look.entries += said["entries"]
            look.add(_drift_of(said["drift"]))
            tallies = _added(tallies, said["calls"])
            spent = _added(spent, said["spent"])
            hours |= said["hours"]
        asked = {"start": str(start.date()), "end": str(self.now().astimezone(UTC).date() + timedelta(days=32))}
        wrong = _drift_of(self._ask("metering", "months", **asked)["drift"])
        look.add(list(_months(wrong, [one for one in look.drift if f"{one.at[:7]}-01" >= str(start.date())])))
        return tallies, spent, hours

    def _compare_calls(self, look: Look, counted: Mapping[str, Any], start: datetime) -> dict[str, dict[str, int]]:
        """The runs against the ledger; says what the ledger lacks, by month of the budget."""
        said: dict[str, Any] = {}
        place: str | None = None
        while True:
            asked = {"start": to_text(start), "end": to_text(self.now()), "after": place}
            page = self._ask("runs", "tallies", **asked)
            said, place = _added(said, page["calls"]), page["after"]
            if place is None:
                break
        # Some of the runs of the first stretch were made before it.
        first = span_of_run(f"run_{first_at(start)}")
        differing = [span for span, tally in said.items() if span > first and not _same(tally, counted.get(span))]
        lost: dict[str, dict[str, int]] = {}
        for span in sorted(differing):
            lost = _added(lost, self._compare_calls_of(look, span))
        return lost

    def _compare_calls_of(self, look: Look, span: str) -> dict[str, dict[str, int]]:
        calls: dict[str, Any] = self._ask("runs", "calls", span=span)["calls"]
        counted: dict[str, Any] = {}
        ids = list(calls)
        for first in range(0, len(ids), 1000):
            counted |= self._ask("metering", "find_calls", event_ids=ids[first : first + 1000])["calls"]
        lost: dict[str, dict[str, int]] = {}
        for event_id, call in calls.items():
            there = counted.get(event_id)
            found = list(drift_between(*_meters(call, there), place="ledger", at=call["ended_at"], subject=event_id))
            young = self.now() - from_text(call["ended_at"]) < ON_ITS_WAY
            look.add(found, pending=young and there is None)
            if there is None:
                lost = _added(lost, {call["period"]: _spent(call["meters"])})
                look.missing += [] if young else [event_id]
        return lost

    def _compare_budgets(self, look: Look, spent: Mapping[str, dict[str, int]], start: datetime) -> None:
        """What was counted against what was taken from the budgets, of the months that lie in the time as a whole."""
        whole = sorted({*spent, *_months_since(start, self.now())})
        periods = [period for period in whole if f"{period}-01" >= str(start.date())]
        budgets = self._ask("runs", "budgets", periods=periods)["budgets"]
        for period in periods:
            expected = spent.get(period, {"requests": 0, "tokens": 0})
            budget = budgets.get(period, {"requests": 0, "tokens": 0, "open": 0})
            found = {name: budget[name] for name in ("requests", "tokens")}
            drift = list(drift_between(expected, found, place="budget", at=period))
            # The sweep settles in some minutes what a crash has left open.
            look.add(drift, pending=budget["open"] > 0)
            if drift and not budget["open"]:
                look.budgets[period] = expected

    def _compare_billing(self, look: Look, closed: Mapping[str, Any], start: datetime) -> None:
        """The closed hours against what billing has heard of them; and billing's own books."""
        said = self._ask("billing", "books", since=to_text(start))
        look.add(_drift_of(said["drift"]))
        look.add(_drift_of(said["pending"]), pending=True)
        for hour in sorted({*closed, *said["hours"]}):
            here = closed.get(hour, {"numbers": {}, "revision": -1, "at": None})
            heard = said["hours"].get(hour, {"numbers": {}, "revs": []})
            right = _corrected(here["numbers"], look.drift, hour=hour)
            drift = list(drift_between(right, heard["numbers"], place="billing", at=hour))
            young = here["at"] is not None and self.now() - from_text(here["at"]) < ON_ITS_WAY
            look.add(drift, pending=young)
            if drift and not young:
                revisions = sorted({*range(here["revision"] + 1)} - {*heard["revs"]})
                lacking = {one.meter: -one.excess for one in drift}
                look.heard[hour] = {"revisions": revisions, "lacking": lacking}

    def _correct_counters(self, look: Look) -> Iterator[str]:
        days = sorted({one.at[:10] for one in look.drift if one.place in {"hour", "closed hour", "day"}})
        for day in days:
            after = str(date.fromisoformat(day) + timedelta(days=1))
            yield from _said(self._ask("metering", "correct_days", start=day, end=after))
        for month in sorted({one.at for one in look.drift if one.place == "month"}):
            yield from _said(self._ask("metering", "correct_month", month=f"{month}-01"))

    def _tell_billing(self, hour: str, lacking: Mapping[str, Any]) -> str:
        said: list[str] = []
        if lacking["revisions"]:
            said = self._ask("metering", "say_again", hour=hour, revisions=lacking["revisions"])["said"]
        if said:
            return f"said again: {', '.join(said)}"
        meters = {name: amount for name, amount in lacking["lacking"].items() if name != "events"}
        events = lacking["lacking"].get("events", 0)
        told = self._ask("metering", "tell", hour=hour, meters=meters, events=events)
        return f"usage.corrected said: {hour} revision {told['revision']}, {meters}"


def _difference(drift: Drift) -> tuple[object, ...]:
    return drift.place, drift.at, drift.meter, drift.subject, drift.excess


def _drift_of(rows: Sequence[Mapping[str, Any]]) -> list[Drift]:
    return [Drift(**row) for row in rows]


def _said(answer: Mapping[str, Any]) -> Iterator[str]:
    for one in _drift_of(answer["corrected"]):
        yield f"{one.place} {one.at} {one.subject or ''} {one.meter}: {one.found} is {one.expected}".replace("  ", " ")


def _added(one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Both, name by name."""
    added = {key: dict(numbers) for key, numbers in one.items()}
    for key, numbers in other.items():
        there = added.setdefault(key, {})
        for name, amount in numbers.items():
            there[name] = there.get(name, 0) + amount
    return added


def _same(one: Mapping[str, int], other: Mapping[str, int] | None) -> bool:
    """Whether these tallies are of the same calls; their marks are added up with a modulus."""
    return other is not None and one["calls"] == other["calls"] and (one["mark"] - other["mark"]) % 2**64 == 0


def _months(found: Sequence[Drift], days: Sequence[Drift]) -> Iterator[Drift]:
    """The months that are wrong although their days are taken as they should be."""
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


def _corrected(numbers: Mapping[str, int], drift: Sequence[Drift], *, hour: str) -> dict[str, int]:
    """What a closed hour should say."""
    right = dict(numbers)
    for one in drift:
        if one.place == "closed hour" and hour.startswith(one.at) and one.meter in {"events", *right, *Meter}:
            right[one.meter] = right.get(one.meter, 0) - one.excess
    return {name: amount for name, amount in right.items() if amount}


def _meters(call: Mapping[str, Any], there: Mapping[str, Any] | None) -> tuple[dict[str, int], dict[str, int]]:
    used = {name: amount for name, amount in call["meters"].items() if amount}
    return used, there["meters"] if there else {}


def _spent(meters: Mapping[str, int]) -> dict[str, int]:
    return {"requests": meters.get("requests", 0), "tokens": sum(meters.get(name, 0) for name in _OF_SPENT)}


def _months_since(start: datetime, now: datetime) -> Iterator[str]:
    month = start.date().replace(day=1)
    while month <= now.date():
        yield f"{month:%Y-%m}"
        month = (month + timedelta(days=32)).replace(day=1)


def rows_of(tenant_id: str, found: Sequence[Drift]) -> list[dict[str, Any]]:
    """As a program gets it."""
    return [{"tenant_id": tenant_id, **asdict(one)} for one in found]
