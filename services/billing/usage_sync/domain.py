"""Hourly usage, and the meter events for it.

The timestamp of a meter event is the start of its hour, because an hour belongs to the period in which it starts. The
hour in which a subscription starts is free. Storage is counted in byte-hours and billed in MB-hours. The remainder is
carried to the hour that is booked next, so nothing is lost and the order of the hours does not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from services.billing.catalog.domain import BilledMeter, is_metered
from services.billing.customers.domain.subscription import Subscription
from shared.meters import Meter, Meters

HOUR = timedelta(hours=1)
INVOICE_GRACE = timedelta(hours=23)
"""The time after a period in which its invoice accepts usage. Stripe finalizes the invoice 24 h after the period."""
MAX_TIMESTAMP_AGE = timedelta(days=34)
"""The maximum age of a timestamp. Stripe rejects timestamps of more than 35 days ago."""
MIN_PERIOD = timedelta(days=28)
RESEND_WINDOW = timedelta(hours=20)
"""The time in which an event can be resent without reading Stripe's sum. Stripe keeps identifiers for at least 24 h."""


def hour_of(moment: datetime) -> datetime:
    """Return the start of the UTC hour that contains this moment."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class HourUsage:
    """The usage of an hour as published by metering: the hour itself or a correction."""

    hour: datetime
    rev: int
    """0 for the closed hour itself, above 0 for its corrections."""
    meters: Meters
    events: int
    booked: bool = False
    """Whether its meter events are in the sync ledger."""


class EntryState(StrEnum):
    """The state of a meter event in the sync ledger."""

    PENDING = "pending"
    """The event was never sent."""
    SENT = "sent"
    """The event was sent, but may not have arrived."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    """Stripe rejected the event permanently. A repair releases or replaces it."""
    REPLACED = "replaced"
    """The event was rejected, and a correction has replaced it."""


OPEN_STATES = frozenset({EntryState.PENDING, EntryState.SENT})
UNCOUNTED_STATES = frozenset({EntryState.REJECTED, EntryState.REPLACED})


@dataclass(frozen=True, slots=True)
class SyncEntry:
    """The permanent record of one meter event in the sync ledger."""

    tenant_id: str
    meter: BilledMeter
    hour: datetime
    """The hour of usage."""
    rev: int
    quantity: int
    """The quantity in the meter's unit. A correction may be negative."""
    timestamp: datetime
    """The event's timestamp, by which Stripe assigns it to a period."""
    carried: bool
    """Whether the event came too late for its own period and has a timestamp in the current one."""
    state: EntryState = EntryState.PENDING
    first_sent_at: datetime | None = None
    reason: str | None = None
    """The reason why the event was rejected or not sent, or of an entry that does not come from stored usage."""
    attempts: int = 0
    """The number of attempts to send the event. Two senders never make the same attempt."""
    due_at: datetime | None = field(default=None, compare=False)
    """The time at which the sweep handles the entry; None if it is final or quarantined."""

    @property
    def identifier(self) -> str:
        """Return the event's identifier, which never changes for the same usage."""
        return f"{self.tenant_id}:{self.meter}:{self.hour:%Y-%m-%dT%H}:{self.rev}"

    @property
    def timestamp_hour(self) -> datetime:
        """Return the hour in whose sum Stripe counts the event."""
        return hour_of(self.timestamp)

    @property
    def is_open(self) -> bool:
        """Return whether the event still has to be sent or confirmed."""
        return self.state in OPEN_STATES

    @property
    def is_counted(self) -> bool:
        """Return whether Stripe has the event or should receive it."""
        return self.state not in UNCOUNTED_STATES


@dataclass(frozen=True, slots=True)
class Booking:
    """The meter events of an hour, and the remainder that is carried to the next one."""

    entries: tuple[SyncEntry, ...]
    byte_hours_left: int


def is_billable(hour: datetime, subscription: Subscription, *, now: datetime) -> bool:
    """Return whether the subscription charges for the usage of this hour and will still have an invoice for it."""
    if not subscription.has_started or not is_metered(subscription.plan) or hour < first_hour(subscription):
        return False
    ended = subscription.ended_at
    return ended is None or (hour < ended and now < ended + INVOICE_GRACE)


def first_hour(subscription: Subscription) -> datetime:
    """Return the first hour that the subscription charges for."""
    return hour_of(subscription.started_at) + HOUR


def book(
    usage: HourUsage, *, tenant_id: str, subscription: Subscription, byte_hours_left: int, now: datetime
) -> Booking:
    """Return the meter events of an hour, without those whose quantity is 0.

    Args:
        usage: the usage of the hour.
        tenant_id: the tenant.
        subscription: the subscription that bills the hour.
        byte_hours_left: the remainder of the hours booked before, less than one MB-hour.
        now: the time.
    """
    quantities, left = units_of(usage.meters, byte_hours_left=byte_hours_left)
    carried = is_too_late(usage.hour, subscription, now=now)
    timestamp = current_timestamp(subscription, now=now) if carried else usage.hour
    entries = [
        SyncEntry(tenant_id, meter, usage.hour, usage.rev, quantity, timestamp, carried)
        for meter, quantity in quantities.items()
        if quantity
    ]
    return Booking(tuple(entries), left)


def units_of(meters: Meters, *, byte_hours_left: int = 0) -> tuple[dict[BilledMeter, int], int]:
    """Return the billed units of these meters, and the byte-hours that do not make a whole unit."""
    mb_hours, left = divmod(
        meters.get(Meter.STORAGE_BYTE_HOURS, 0) + byte_hours_left, BilledMeter.STORAGE_MB_HOURS.counted_per_unit
    )
    whole = {meter: meters.get(meter.source, 0) for meter in BilledMeter if meter.counted_per_unit == 1}
    return {**whole, BilledMeter.STORAGE_MB_HOURS: mb_hours}, left


def is_too_late(hour: datetime, subscription: Subscription, *, now: datetime) -> bool:
    """Return whether the invoice of this hour's period accepts no more usage, or Stripe would reject the timestamp."""
    period = subscription.period
    if hour >= period.end:
        return False
    if subscription.plan_changed_at and period.start <= hour < subscription.plan_changed_at:
        return True
    if hour >= period.start:
        ended = period.end
    elif hour >= period.start - MIN_PERIOD:
        ended = period.start
    else:
        return True
    return now >= ended + INVOICE_GRACE or now - hour > MAX_TIMESTAMP_AGE


def current_timestamp(subscription: Subscription, *, now: datetime) -> datetime:
    """Return the timestamp of usage for the current plan: the current hour, or the change of plan within it."""
    return max(hour_of(now), subscription.plan_changed_at or hour_of(now))


def carry_to_current_hour(entry: SyncEntry, subscription: Subscription, *, now: datetime) -> SyncEntry:
    """Return the entry with a timestamp in the current hour."""
    return replace(entry, timestamp=current_timestamp(subscription, now=now), carried=True)


def mark_sent(entry: SyncEntry, *, now: datetime) -> SyncEntry:
    """Return the entry for the moment before it is sent."""
    first_sent_at = entry.first_sent_at or now
    return replace(entry, state=EntryState.SENT, first_sent_at=first_sent_at, attempts=entry.attempts + 1)


def mark_accepted(entry: SyncEntry) -> SyncEntry:
    """Return the entry after Stripe has accepted it."""
    return replace(entry, state=EntryState.ACCEPTED, reason=None)


def mark_rejected(entry: SyncEntry, *, reason: str) -> SyncEntry:
    """Return the entry after Stripe has rejected it permanently."""
    return replace(entry, state=EntryState.REJECTED, reason=reason)


def revert_attempt(before: SyncEntry, *, attempts: int, reason: str) -> SyncEntry:
    """Return the entry as it was before an attempt that changed nothing at Stripe, with the reason."""
    return replace(before, attempts=attempts, reason=reason)


def release(entry: SyncEntry) -> SyncEntry:
    """Return a rejected entry that can be sent again.

    An earlier attempt may have arrived, so Stripe's sum decides unless the entry was never sent.
    """
    state = EntryState.SENT if entry.first_sent_at else EntryState.PENDING
    return replace(entry, state=state, reason=None)


def mark_replaced(entry: SyncEntry) -> SyncEntry:
    """Return a rejected entry that a correction has replaced."""
    return replace(entry, state=EntryState.REPLACED)


def mark_unsent(entry: SyncEntry) -> SyncEntry:
    """Return an entry that Stripe certainly does not have."""
    return replace(entry, state=EntryState.PENDING, first_sent_at=None)


def can_be_sent_unchecked(entry: SyncEntry, *, now: datetime) -> bool:
    """Return whether the event can be sent without a check of Stripe's sum, because Stripe would reject a duplicate."""
    return entry.first_sent_at is None or now - entry.first_sent_at < RESEND_WINDOW


class SearchResult(StrEnum):
    """The result of searching Stripe's sum for an entry."""

    PRESENT = "there"
    MISSING = "missing"
    UNCLEAR = "unclear"
    """The sum does not decide it. Sending the event again might charge it twice."""
    UNDECIDED = "undecided"
    """Unclear, because the search was stopped: too many other entries are uncertain."""


MAX_SUMS = 10_000
"""Maximum number of different sums of uncertain entries to compare with Stripe's. n entries can make 2^n sums."""


def search_in_sum(entry: SyncEntry, others: Iterable[SyncEntry], *, stripes_sum: int) -> SearchResult:
    """Return whether Stripe's sum can only be explained with the entry, or only without it.

    Args:
        entry: the entry to search.
        others: the other entries of the same meter and timestamp hour.
        stripes_sum: Stripe's sum of the meter in that hour.
    """
    rest = [other for other in others if other.identifier != entry.identifier]
    known = sum(other.quantity for other in rest if other.state is EntryState.ACCEPTED)
    uncertain = [other.quantity for other in rest if other.state is EntryState.SENT]
    possible = {known}
    for quantity in uncertain:
        possible |= {total + quantity for total in possible}
        if len(possible) > MAX_SUMS:
            return SearchResult.UNDECIDED
    with_entry, without_entry = stripes_sum - entry.quantity in possible, stripes_sum in possible
    if with_entry == without_entry:
        return SearchResult.UNCLEAR
    return SearchResult.PRESENT if with_entry else SearchResult.MISSING


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """The usage of several hours together."""

    quantities: Mapping[BilledMeter, int] = field(default_factory=dict[BilledMeter, int])
    counted_until: datetime | None = None
    """The end of the newest of these hours."""


def total_usage(usages: Iterable[HourUsage]) -> UsageTotal:
    """Return the billed units of these hours. Storage is rounded down once, at the end."""
    meters: dict[Meter, int] = {}
    newest: datetime | None = None
    for usage in usages:
        newest = max(newest or usage.hour, usage.hour)
        for meter, amount in usage.meters.items():
            meters[meter] = meters.get(meter, 0) + amount
    return UsageTotal(units_of(meters)[0], newest + HOUR if newest else None)


def lag_s(hours: Iterable[datetime], *, now: datetime) -> int:
    """Return the longest time in whole seconds since the end of one of these unsent hours; 0 without any."""
    return max((int((now - hour - HOUR).total_seconds()) for hour in hours), default=0)
