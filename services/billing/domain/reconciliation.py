"""Whether the books agree: usage by the hour, the sync ledger, what Stripe has counted, and what it has billed.

    usage by the hour ── booked as ──► sync ledger ── sent to ──► Stripe's sums ──► invoice lines

What is on its way is pending. A correction never rewrites anything. Where Stripe's sum of an hour differs, the
difference is booked as found there, and its opposite is sent; so ledger and Stripe both say what was used.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.billing.domain.cost import Period
from services.billing.domain.invoice import Invoice
from services.billing.domain.price import BilledMeter
from services.billing.domain.subscription import Subscription, duplicates_of
from services.billing.domain.usage import (
    HOUR,
    Entry,
    EntryState,
    HourUsage,
    comes_too_late,
    current_stamp,
    is_billable,
)
from shared.drift import Drift
from shared.times import to_text

LAGS = timedelta(hours=1)
"""For so long Stripe's sums may not show what it has taken."""
SENT_WITHIN = timedelta(days=1)
"""After it, usage that is still not at Stripe is drift and not pending."""
_FOUND = "found in Stripe's sum"
_WHOLE = tuple(meter for meter in BilledMeter if meter.counted_per_unit == 1)
"""The meters of which every hour makes whole units."""

Slot = tuple[datetime, BilledMeter]
"""An hour and a meter."""
Sums = Mapping[Slot, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference, and whether it will be gone when what is on its way has come."""

    slot: Slot | None
    """None: of no single hour."""
    drift: Drift
    pending: bool = False
    repairable: bool = True


@dataclass(frozen=True, slots=True)
class Books:
    """All that is known of a tenant's usage in some time."""

    usages: Sequence[HourUsage]
    entries: Sequence[Entry]
    invoices: Sequence[Invoice]
    subscription: Subscription | None
    window: Period
    now: datetime

    @property
    def booked(self) -> list[Entry]:
        """The entries of usage of this time that Stripe has, or is to have."""
        taken = (entry for entry in self.entries if entry.counts)
        return [entry for entry in taken if entry.hour >= self.window.start]

    def billed(self, usage: HourUsage) -> bool:
        """Whether this usage is to be in the sync ledger."""
        if usage.booked:
            return True
        return self.subscription is not None and is_billable(usage.hour, self.subscription, now=self.now)


def used(books: Books) -> Iterator[Finding]:
    """Where the sync ledger does not have what was used; of storage as a whole, since hours share its units."""
    wanted = _units(usage for usage in books.usages if books.billed(usage))
    booked = [entry for entry in books.booked if entry.meter in _WHOLE]
    there = _added(((entry.hour, entry.meter), entry.quantity) for entry in booked)
    for slot in sorted({*wanted, *there}):
        yield from _unless_same(slot, "sync ledger", wanted.get(slot, 0), there.get(slot, 0), books)
    yield from _stored(books)


def at_stripe(books: Books, sums: Sums) -> Iterator[Finding]:
    """Where Stripe's sums are not what it has accepted."""
    wanted = accepted(books)
    for slot in sorted({*wanted, *sums}):
        yield from _unless_same(slot, "stripe", wanted.get(slot, 0), sums.get(slot, 0), books)


def unresolved(
    sums: Sums, meter: BilledMeter, days: Mapping[datetime, int], undecided: Iterable[datetime]
) -> Iterator[Finding]:
    """Yield the differences of days whose hours there was no time to ask for."""
    ours = _by_day(sums, meter)
    for day in undecided:
        drift = Drift("stripe day", to_text(day), meter, ours.get(day, 0), days.get(day, 0))
        yield Finding(None, drift, repairable=False)


def differing_days(sums: Sums, meter: BilledMeter, days: Mapping[datetime, int]) -> list[datetime]:
    """The days on which Stripe has counted something else.

    Args:
        sums: ours, by the hour.
        meter: that is looked at.
        days: Stripe's, by the day.
    """
    ours = _by_day(sums, meter)
    return sorted(day for day in {*ours, *days} if ours.get(day, 0) != days.get(day, 0))


def _by_day(sums: Sums, meter: BilledMeter) -> dict[datetime, int]:
    days: dict[datetime, int] = {}
    for (hour, of), quantity in sums.items():
        if of is meter:
            day = hour.replace(hour=0)
            days[day] = days.get(day, 0) + quantity
    return days


def on_the_way(books: Books) -> Iterator[Finding]:
    """Meter events that Stripe does not have yet."""
    for entry in books.entries:
        if entry.is_open:
            drift = Drift("stripe", to_text(entry.stamp_hour), entry.meter, entry.quantity, 0, entry.identifier)
            late = books.now - max(entry.stamped_at, entry.first_sent_at or entry.stamped_at) > SENT_WITHIN
            yield Finding(None, drift, pending=not late, repairable=False)


def duplicated(subscriptions: Sequence[Subscription], current: Subscription | None) -> Iterator[Finding]:
    """Yield subscriptions besides the one that counts; the sweep ends those that a checkout has made."""
    for one in duplicates_of(current, subscriptions):
        at = to_text(one.started_at)
        drift = Drift("subscription", at, "subscriptions", expected=0, found=1, subject=one.subscription_id)
        yield Finding(None, drift, repairable=False)


def releasable(books: Books, findings: Iterable[Finding]) -> list[Entry]:
    """Return the rejected entries that are all that the sync ledger lacks: they need only be sent again.

    Where it lacks nothing or something else, a correction has taken their place or has to.
    """
    lacking = {_group(finding.slot): -finding.drift.excess for finding in _of_ledger(findings) if not finding.pending}
    rejected = _rejected_by_group(books)
    return [
        entry
        for group, entries in rejected.items()
        if lacking.get(group) == sum(entry.quantity for entry in entries)
        for entry in entries
    ]


def replaceable(books: Books, findings: Iterable[Finding]) -> list[Entry]:
    """Return the rejected entries whose place is taken, once the corrections of these findings are made."""
    waiting = {_group(finding.slot) for finding in _of_ledger(findings) if finding.pending}
    rejected = _rejected_by_group(books)
    return [entry for group, entries in rejected.items() if group not in waiting for entry in entries]


def _rejected_by_group(books: Books) -> dict[object, list[Entry]]:
    groups: dict[object, list[Entry]] = {}
    for entry in books.entries:
        if entry.state is EntryState.REJECTED and entry.hour >= books.window.start:
            groups.setdefault(_group((entry.hour, entry.meter)), []).append(entry)
    return groups


def _of_ledger(findings: Iterable[Finding]) -> Iterator[Finding]:
    return (finding for finding in findings if finding.drift.place == "sync ledger")


def _group(slot: Slot | None) -> object:
    """Return what is compared together: an hour and a meter, but storage as a whole."""
    return slot if slot is None or slot[1] in _WHOLE else slot[1]


def invoiced(books: Books) -> Iterator[Finding]:
    """Where a final invoice charges for another quantity than Stripe has accepted."""
    accepted_by_meter = _by_meter(books.entries)
    for invoice in books.invoices:
        for line in invoice.lines:
            if invoice.status == "draft" or not line.meter or line.period.start < books.window.start:
                continue
            entries = accepted_by_meter[line.meter].between(line.period)
            wanted = sum(entry.quantity for entry in entries)
            # Nobody knows whether what was found at Stripe came before the invoice or after it.
            if line.quantity not in {wanted, wanted - sum(one.quantity for one in entries if one.reason == _FOUND)}:
                at = to_text(line.period.start)
                drift = Drift("invoice", at, line.meter, wanted, line.quantity or 0, invoice.invoice_id)
                yield Finding(None, drift, repairable=False)


@dataclass(frozen=True, slots=True)
class _Stamped:
    """Entries in the order of their stamps."""

    entries: Sequence[Entry]
    stamps: Sequence[datetime]

    def between(self, period: Period) -> Sequence[Entry]:
        """Return those that are stamped within the period."""
        return self.entries[bisect_left(self.stamps, period.start) : bisect_left(self.stamps, period.end)]


def _by_meter(entries: Iterable[Entry]) -> dict[BilledMeter, _Stamped]:
    groups: dict[BilledMeter, list[Entry]] = {meter: [] for meter in BilledMeter}
    for entry in sorted(entries, key=lambda one: one.stamped_at):
        if entry.state is EntryState.ACCEPTED:
            groups[entry.meter].append(entry)
    return {meter: _Stamped(found, [one.stamped_at for one in found]) for meter, found in groups.items()}


def corrections(books: Books, findings: Iterable[Finding], *, tenant_id: str) -> list[Entry]:
    """The entries that put the findings right: what was found at Stripe, and what is to be sent after it."""
    stripe: dict[Slot, int] = {}
    lacking: dict[Slot, int] = {}
    for finding in findings:
        if finding.slot and finding.repairable and not finding.pending:
            found = stripe if finding.drift.place == "stripe" else lacking
            found[finding.slot] = finding.drift.excess
    made: list[Entry] = []
    for slot in sorted({*stripe, *lacking}):
        numbers = _free_numbers(slot, books)
        there = stripe.get(slot, 0)
        if there:
            made.append(_entry(tenant_id, slot, next(numbers), there, books, found=True))
        if to_send := -there - lacking.get(slot, 0):
            made.append(_entry(tenant_id, slot, next(numbers), to_send, books, found=False))
    return made


def _entry(tenant_id: str, slot: Slot, rev: int, quantity: int, books: Books, *, found: bool) -> Entry:
    hour, meter = slot
    if found:
        state, reason = EntryState.ACCEPTED, _FOUND
        return Entry(tenant_id, meter, hour, rev, quantity, hour, carried=False, state=state, reason=reason)
    late = books.subscription is not None and comes_too_late(hour, books.subscription, now=books.now)
    stamped_at = current_stamp(books.subscription, now=books.now) if late and books.subscription else hour
    return Entry(tenant_id, meter, hour, rev, quantity, stamped_at, carried=late)


def _free_numbers(slot: Slot, books: Books) -> Iterator[int]:
    """Metering counts an hour's revisions up from 0, corrections of our own count down from -1."""
    taken = [entry.rev for entry in books.entries if (entry.hour, entry.meter) == slot]
    number = min([0, *taken])
    while True:
        number -= 1
        yield number


def _unless_same(slot: Slot, place: str, expected: int, found: int, books: Books) -> Iterator[Finding]:
    hour, meter = slot
    if expected != found:
        drift = Drift(place, to_text(hour), meter, expected, found)
        yield Finding(slot, drift, pending=_moves(drift, slot, books))


def _moves(drift: Drift, slot: Slot, books: Books) -> bool:
    """Whether something of this hour is on its way, or Stripe may not show yet what it has."""
    of_slot = [one for one in books.entries if slot in {(one.hour, one.meter), (one.stamp_hour, one.meter)}]
    if any(one.is_open for one in of_slot):
        return True
    if drift.place == "stripe":
        sent = [entry.first_sent_at for entry in of_slot if entry.first_sent_at]
        return drift.excess < 0 and any(books.now - at < LAGS for at in sent)
    return not of_slot and books.now - slot[0] < HOUR + LAGS


def _stored(books: Books) -> Iterator[Finding]:
    """Storage: the hours together, to less than one unit, which is carried on."""
    meter = BilledMeter.STORAGE_MB_HOURS
    billed = [usage for usage in books.usages if books.billed(usage)]
    byte_hours = sum(usage.meters.get(meter.source, 0) for usage in billed)
    there = sum(entry.quantity for entry in books.booked if entry.meter is meter)
    if abs(byte_hours - there * meter.counted_per_unit) >= meter.counted_per_unit:
        wanted, at = byte_hours // meter.counted_per_unit, to_text(books.window.start)
        drift = Drift("sync ledger", at, meter, wanted, there)
        pending = any(not usage.booked for usage in billed)
        yield Finding((max(usage.hour for usage in billed), meter) if billed else None, drift, pending=pending)


def _units(usages: Iterable[HourUsage]) -> dict[Slot, int]:
    return _added(((usage.hour, meter), usage.meters.get(meter.source, 0)) for usage in usages for meter in _WHOLE)


def accepted(books: Books) -> dict[Slot, int]:
    """What Stripe should have counted, by the hour of the stamps."""
    entries = (entry for entry in books.entries if entry.state is EntryState.ACCEPTED)
    return _added(((entry.stamp_hour, entry.meter), entry.quantity) for entry in entries)


def _added(quantities: Iterable[tuple[Slot, int]]) -> dict[Slot, int]:
    added: dict[Slot, int] = {}
    for slot, quantity in quantities:
        added[slot] = added.get(slot, 0) + quantity
    return added
