"""Comparison of hourly usage, the sync ledger, Stripe's sums and invoice lines.

    usage by the hour ── booked as ──► sync ledger ── sent to ──► Stripe's sums ──► invoice lines

Usage that is being sent is pending. A correction never rewrites an entry. If Stripe's sum of an hour differs, the
difference is booked as an accepted entry, and its opposite is sent. The ledger and Stripe then both match the usage.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.billing.catalog.domain import BilledMeter
from services.billing.customers.domain.period import BillingPeriod
from services.billing.customers.domain.subscription import Subscription
from services.billing.invoices.domain import Invoice
from services.billing.subscriptions.domain import duplicates_of
from services.billing.usage_sync.domain import (
    HOUR,
    EntryState,
    HourUsage,
    SyncEntry,
    current_timestamp,
    is_billable,
    is_too_late,
)
from shared.drift import Drift
from shared.times import to_text

STRIPE_LAG = timedelta(hours=1)
"""The time for which Stripe's sums may not yet include accepted events."""
MAX_PENDING_AGE = timedelta(days=1)
"""The age above which usage that is not at Stripe counts as drift and not as pending."""
_FOUND_REASON = "found in Stripe's sum"
_UNIT_METERS = tuple(meter for meter in BilledMeter if meter.counted_per_unit == 1)
"""The meters whose hours always make whole units."""

Slot = tuple[datetime, BilledMeter]
"""An hour and a meter."""
Sums = Mapping[Slot, int]


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A difference. It is pending if work in progress explains it."""

    slot: Slot | None
    """None if the difference does not belong to a single hour."""
    drift: Drift
    pending: bool = False
    repairable: bool = True


@dataclass(frozen=True, slots=True)
class UsageRecords:
    """The records of a tenant's usage in a window of time."""

    usages: Sequence[HourUsage]
    entries: Sequence[SyncEntry]
    invoices: Sequence[Invoice]
    subscription: Subscription | None
    window: BillingPeriod
    now: datetime

    @property
    def booked(self) -> list[SyncEntry]:
        """Return the entries of usage in the window that Stripe has or should receive."""
        counted = (entry for entry in self.entries if entry.is_counted)
        return [entry for entry in counted if entry.hour >= self.window.start]

    def is_billed(self, usage: HourUsage) -> bool:
        """Return whether this usage should be in the sync ledger."""
        if usage.booked:
            return True
        return self.subscription is not None and is_billable(usage.hour, self.subscription, now=self.now)


def compare_ledger(records: UsageRecords) -> Iterator[Discrepancy]:
    """Yield the differences between usage and sync ledger.

    Storage is compared over all hours together, because a unit may consist of the byte-hours of several hours.
    """
    expected = _units(usage for usage in records.usages if records.is_billed(usage))
    booked = [entry for entry in records.booked if entry.meter in _UNIT_METERS]
    found = _add_up(((entry.hour, entry.meter), entry.quantity) for entry in booked)
    for slot in sorted({*expected, *found}):
        yield from _differences(slot, "sync ledger", expected.get(slot, 0), found.get(slot, 0), records)
    yield from _compare_storage(records)


def compare_stripe(records: UsageRecords, sums: Sums) -> Iterator[Discrepancy]:
    """Yield the differences between accepted entries and Stripe's sums."""
    expected = accepted_quantities(records)
    for slot in sorted({*expected, *sums}):
        yield from _differences(slot, "stripe", expected.get(slot, 0), sums.get(slot, 0), records)


def unresolved_days(
    sums: Sums, meter: BilledMeter, days: Mapping[datetime, int], undecided: Iterable[datetime]
) -> Iterator[Discrepancy]:
    """Yield the differences of days whose hours could not be read in time."""
    ours = _by_day(sums, meter)
    for day in undecided:
        drift = Drift("stripe day", to_text(day), meter, ours.get(day, 0), days.get(day, 0))
        yield Discrepancy(None, drift, repairable=False)


def differing_days(sums: Sums, meter: BilledMeter, days: Mapping[datetime, int]) -> list[datetime]:
    """Return the days on which Stripe's sum differs from ours.

    Args:
        sums: our sums by the hour.
        meter: the meter to compare.
        days: Stripe's sums by the UTC day.
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


def find_open_entries(records: UsageRecords) -> Iterator[Discrepancy]:
    """Yield the meter events that Stripe does not have yet."""
    for entry in records.entries:
        if entry.is_open:
            drift = Drift("stripe", to_text(entry.timestamp_hour), entry.meter, entry.quantity, 0, entry.identifier)
            late = records.now - max(entry.timestamp, entry.first_sent_at or entry.timestamp) > MAX_PENDING_AGE
            yield Discrepancy(None, drift, pending=not late, repairable=False)


def find_duplicates(subscriptions: Sequence[Subscription], current: Subscription | None) -> Iterator[Discrepancy]:
    """Yield the duplicates of the current subscription. The sweep ends those that a checkout created."""
    for duplicate in duplicates_of(current, subscriptions):
        at = to_text(duplicate.started_at)
        drift = Drift("subscription", at, "subscriptions", expected=0, found=1, subject=duplicate.subscription_id)
        yield Discrepancy(None, drift, repairable=False)


def releasable(records: UsageRecords, discrepancies: Iterable[Discrepancy]) -> list[SyncEntry]:
    """Return the rejected entries that are all that the sync ledger lacks, so that sending them again is sufficient.

    If the ledger lacks nothing or another quantity, a correction has replaced them or must do so.
    """
    lacking = {
        _group(discrepancy.slot): -discrepancy.drift.excess
        for discrepancy in _of_ledger(discrepancies)
        if not discrepancy.pending
    }
    rejected = _rejected_by_group(records)
    return [
        entry
        for group, entries in rejected.items()
        if lacking.get(group) == sum(entry.quantity for entry in entries)
        for entry in entries
    ]


def replaceable(records: UsageRecords, discrepancies: Iterable[Discrepancy]) -> list[SyncEntry]:
    """Return the rejected entries that the corrections of these findings replace."""
    waiting = {_group(discrepancy.slot) for discrepancy in _of_ledger(discrepancies) if discrepancy.pending}
    rejected = _rejected_by_group(records)
    return [entry for group, entries in rejected.items() if group not in waiting for entry in entries]


def _rejected_by_group(records: UsageRecords) -> dict[object, list[SyncEntry]]:
    groups: dict[object, list[SyncEntry]] = {}
    for entry in records.entries:
        if entry.state is EntryState.REJECTED and entry.hour >= records.window.start:
            groups.setdefault(_group((entry.hour, entry.meter)), []).append(entry)
    return groups


def _of_ledger(discrepancies: Iterable[Discrepancy]) -> Iterator[Discrepancy]:
    return (discrepancy for discrepancy in discrepancies if discrepancy.drift.place == "sync ledger")


def _group(slot: Slot | None) -> object:
    """Return the key by which entries are compared together: hour and meter, but the meter alone for storage."""
    return slot if slot is None or slot[1] in _UNIT_METERS else slot[1]


def compare_invoices(records: UsageRecords) -> Iterator[Discrepancy]:
    """Yield the differences between the quantities of final invoices and the accepted entries."""
    accepted_by_meter = _by_meter(records.entries)
    for invoice in records.invoices:
        for line in invoice.lines:
            if invoice.status == "draft" or not line.meter or line.period.start < records.window.start:
                continue
            entries = accepted_by_meter[line.meter].between(line.period)
            expected = sum(entry.quantity for entry in entries)
            # It is unknown whether an entry found at Stripe arrived before the invoice or after it.
            if line.quantity not in {
                expected,
                expected - sum(entry.quantity for entry in entries if entry.reason == _FOUND_REASON),
            }:
                at = to_text(line.period.start)
                drift = Drift("invoice", at, line.meter, expected, line.quantity or 0, invoice.invoice_id)
                yield Discrepancy(None, drift, repairable=False)


@dataclass(frozen=True, slots=True)
class _TimedEntries:
    """Entries in the order of their timestamps."""

    entries: Sequence[SyncEntry]
    stamps: Sequence[datetime]

    def between(self, period: BillingPeriod) -> Sequence[SyncEntry]:
        """Return the entries with a timestamp within the period."""
        return self.entries[bisect_left(self.stamps, period.start) : bisect_left(self.stamps, period.end)]


def _by_meter(entries: Iterable[SyncEntry]) -> dict[BilledMeter, _TimedEntries]:
    groups: dict[BilledMeter, list[SyncEntry]] = {meter: [] for meter in BilledMeter}
    for entry in sorted(entries, key=lambda entry: entry.timestamp):
        if entry.state is EntryState.ACCEPTED:
            groups[entry.meter].append(entry)
    return {
        meter: _TimedEntries(of_meter, [entry.timestamp for entry in of_meter]) for meter, of_meter in groups.items()
    }


def corrections(records: UsageRecords, discrepancies: Iterable[Discrepancy], *, tenant_id: str) -> list[SyncEntry]:
    """Return the entries that correct the findings: first those found at Stripe, then those to be sent."""
    stripe: dict[Slot, int] = {}
    lacking: dict[Slot, int] = {}
    for discrepancy in discrepancies:
        if discrepancy.slot and discrepancy.repairable and not discrepancy.pending:
            excess_by_slot = stripe if discrepancy.drift.place == "stripe" else lacking
            excess_by_slot[discrepancy.slot] = discrepancy.drift.excess
    entries: list[SyncEntry] = []
    for slot in sorted({*stripe, *lacking}):
        revisions = _free_revisions(slot, records)
        excess = stripe.get(slot, 0)
        if excess:
            entries.append(_entry(tenant_id, slot, next(revisions), excess, records, found=True))
        if to_send := -excess - lacking.get(slot, 0):
            entries.append(_entry(tenant_id, slot, next(revisions), to_send, records, found=False))
    return entries


def _entry(tenant_id: str, slot: Slot, rev: int, quantity: int, records: UsageRecords, *, found: bool) -> SyncEntry:
    hour, meter = slot
    if found:
        state, reason = EntryState.ACCEPTED, _FOUND_REASON
        return SyncEntry(tenant_id, meter, hour, rev, quantity, hour, carried=False, state=state, reason=reason)
    late = records.subscription is not None and is_too_late(hour, records.subscription, now=records.now)
    timestamp = current_timestamp(records.subscription, now=records.now) if late and records.subscription else hour
    return SyncEntry(tenant_id, meter, hour, rev, quantity, timestamp, carried=late)


def _free_revisions(slot: Slot, records: UsageRecords) -> Iterator[int]:
    """Yield unused revisions of an hour, down from -1, because metering counts its revisions up from 0."""
    taken = [entry.rev for entry in records.entries if (entry.hour, entry.meter) == slot]
    rev = min([0, *taken])
    while True:
        rev -= 1
        yield rev


def _differences(slot: Slot, place: str, expected: int, found: int, records: UsageRecords) -> Iterator[Discrepancy]:
    hour, meter = slot
    if expected != found:
        drift = Drift(place, to_text(hour), meter, expected, found)
        yield Discrepancy(slot, drift, pending=_is_in_progress(drift, slot, records))


def _is_in_progress(drift: Drift, slot: Slot, records: UsageRecords) -> bool:
    """Return whether work in progress explains the difference: booking, sending, or the lag of Stripe's sums."""
    of_slot = [
        entry for entry in records.entries if slot in {(entry.hour, entry.meter), (entry.timestamp_hour, entry.meter)}
    ]
    if any(entry.is_open for entry in of_slot):
        return True
    if drift.place == "stripe":
        sent = [entry.first_sent_at for entry in of_slot if entry.first_sent_at]
        return drift.excess < 0 and any(records.now - at < STRIPE_LAG for at in sent)
    return not of_slot and records.now - slot[0] < HOUR + STRIPE_LAG


def _compare_storage(records: UsageRecords) -> Iterator[Discrepancy]:
    """Compare storage over all hours together. A remainder of less than one unit is not a difference."""
    meter = BilledMeter.STORAGE_MB_HOURS
    billed = [usage for usage in records.usages if records.is_billed(usage)]
    byte_hours = sum(usage.meters.get(meter.source, 0) for usage in billed)
    found = sum(entry.quantity for entry in records.booked if entry.meter is meter)
    if abs(byte_hours - found * meter.counted_per_unit) >= meter.counted_per_unit:
        expected, at = byte_hours // meter.counted_per_unit, to_text(records.window.start)
        drift = Drift("sync ledger", at, meter, expected, found)
        pending = any(not usage.booked for usage in billed)
        yield Discrepancy((max(usage.hour for usage in billed), meter) if billed else None, drift, pending=pending)


def _units(usages: Iterable[HourUsage]) -> dict[Slot, int]:
    return _add_up(
        ((usage.hour, meter), usage.meters.get(meter.source, 0)) for usage in usages for meter in _UNIT_METERS
    )


def accepted_quantities(records: UsageRecords) -> dict[Slot, int]:
    """Return the quantities that Stripe should have counted, by the hour of the timestamps."""
    entries = (entry for entry in records.entries if entry.state is EntryState.ACCEPTED)
    return _add_up(((entry.timestamp_hour, entry.meter), entry.quantity) for entry in entries)


def _add_up(quantities: Iterable[tuple[Slot, int]]) -> dict[Slot, int]:
    totals: dict[Slot, int] = {}
    for slot, quantity in quantities:
        totals[slot] = totals.get(slot, 0) + quantity
    return totals
