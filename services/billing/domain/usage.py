"""Usage by the hour, and the meter events that it becomes.

An hour belongs to the period that it starts in, so its meter events are stamped with its start. The hour in which a
subscription starts is free. Storage is counted in byte-hours and billed in MB-hours: what is left over is carried to
the next hour that is booked, whichever that is, so nothing is lost and the order does not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from services.billing.domain.price import BilledMeter, is_metered
from services.billing.domain.subscription import Subscription
from shared.meters import Meter, Meters

HOUR = timedelta(hours=1)
INVOICE_GRACE = timedelta(hours=23)
"""Stripe finalises an invoice 24 h after its period; what is sent later than this would come too late for it."""
OLDEST_STAMP = timedelta(days=34)
"""Stripe refuses stamps of more than 35 days ago."""
SHORTEST_PERIOD = timedelta(days=28)
RESEND_WITHIN = timedelta(hours=20)
"""Stripe keeps identifiers for at least 24 h: so long it is safe to send an event again without looking."""


def hour_of(moment: datetime) -> datetime:
    """The start of the UTC hour that this moment lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class HourUsage:
    """What metering said of an hour: all of it, or a correction."""

    hour: datetime
    rev: int
    """0 is the closed hour itself, its corrections count from 1."""
    meters: Meters
    events: int
    booked: bool = False
    """Whether its meter events are in the sync ledger."""


class EntryState(StrEnum):
    """What is known of a meter event."""

    PENDING = "pending"
    """It was never sent."""
    SENT = "sent"
    """It was sent, and nobody knows whether it arrived."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    """Stripe refused it for good. A repair releases or replaces it."""
    REPLACED = "replaced"
    """It was rejected, and a correction has taken its place."""


OPEN = frozenset({EntryState.PENDING, EntryState.SENT})
NEVER_COUNTED = frozenset({EntryState.REJECTED, EntryState.REPLACED})


@dataclass(frozen=True, slots=True)
class Entry:
    """One meter event in the sync ledger, where it stays for ever."""

    tenant_id: str
    meter: BilledMeter
    hour: datetime
    """The hour in which it was used."""
    rev: int
    quantity: int
    """Of the meter's unit; a correction may be negative."""
    stamped_at: datetime
    """What Stripe goes by."""
    carried: bool
    """It came too late for its own period, so it is stamped into the current one."""
    state: EntryState = EntryState.PENDING
    first_sent_at: datetime | None = None
    reason: str | None = None
    """Why it was rejected or could not be sent, or why there is an entry that no usage has made."""
    attempts: int = 0
    """How often it was sent; no two senders make the same attempt."""
    due_at: datetime | None = field(default=None, compare=False)
    """When the sweep looks at it; None for one that is final or was quarantined."""

    @property
    def identifier(self) -> str:
        """The same for the same usage for ever."""
        return f"{self.tenant_id}:{self.meter}:{self.hour:%Y-%m-%dT%H}:{self.rev}"

    @property
    def stamp_hour(self) -> datetime:
        """The hour in whose sum Stripe counts it."""
        return hour_of(self.stamped_at)

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done about it."""
        return self.state in OPEN

    @property
    def counts(self) -> bool:
        """Whether Stripe has it, or is to have it."""
        return self.state not in NEVER_COUNTED


@dataclass(frozen=True, slots=True)
class Booking:
    """The meter events of an hour, and what is carried to the next one."""

    entries: tuple[Entry, ...]
    byte_hours_left: int


def is_billable(hour: datetime, subscription: Subscription, *, now: datetime) -> bool:
    """Whether the usage of this hour is charged by the subscription, and there is an invoice still to come."""
    if not subscription.has_begun or not is_metered(subscription.plan) or hour < first_hour(subscription):
        return False
    ended = subscription.ended_at
    return ended is None or (hour < ended and now < ended + INVOICE_GRACE)


def first_hour(subscription: Subscription) -> datetime:
    """The first hour that is charged for."""
    return hour_of(subscription.started_at) + HOUR


def book(
    usage: HourUsage, *, tenant_id: str, subscription: Subscription, byte_hours_left: int, now: datetime
) -> Booking:
    """The meter events of an hour; what is 0 is not sent.

    Args:
        usage: of the hour.
        tenant_id: whose it is.
        subscription: by which it is billed.
        byte_hours_left: what the hours booked before have left over, less than a MB-hour.
        now: the time.
    """
    quantities, left = units_of(usage.meters, byte_hours_left=byte_hours_left)
    carried = comes_too_late(usage.hour, subscription, now=now)
    stamped_at = current_stamp(subscription, now=now) if carried else usage.hour
    entries = [
        Entry(tenant_id, meter, usage.hour, usage.rev, quantity, stamped_at, carried)
        for meter, quantity in quantities.items()
        if quantity
    ]
    return Booking(tuple(entries), left)


def units_of(meters: Meters, *, byte_hours_left: int = 0) -> tuple[dict[BilledMeter, int], int]:
    """The billed units of what was counted, and the byte-hours that make no whole unit."""
    mb_hours, left = divmod(
        meters.get(Meter.STORAGE_BYTE_HOURS, 0) + byte_hours_left, BilledMeter.STORAGE_MB_HOURS.counted_per_unit
    )
    whole = {meter: meters.get(meter.source, 0) for meter in BilledMeter if meter.counted_per_unit == 1}
    return {**whole, BilledMeter.STORAGE_MB_HOURS: mb_hours}, left


def comes_too_late(hour: datetime, subscription: Subscription, *, now: datetime) -> bool:
    """Whether the invoice of this hour's period can take nothing more, or Stripe would refuse the stamp."""
    period = subscription.period
    if hour >= period.end:
        return False
    if subscription.counts_since and period.start <= hour < subscription.counts_since:
        return True
    if hour >= period.start:
        ended = period.end
    elif hour >= period.start - SHORTEST_PERIOD:
        ended = period.start
    else:
        return True
    return now >= ended + INVOICE_GRACE or now - hour > OLDEST_STAMP


def current_stamp(subscription: Subscription, *, now: datetime) -> datetime:
    """The start of this hour, or the last change of plan in it: what is stamped so is billed with the current plan."""
    return max(hour_of(now), subscription.counts_since or hour_of(now))


def carried_to(entry: Entry, subscription: Subscription, *, now: datetime) -> Entry:
    """The entry stamped into the current hour."""
    return replace(entry, stamped_at=current_stamp(subscription, now=now), carried=True)


def sent(entry: Entry, *, now: datetime) -> Entry:
    """The entry at the moment before it is sent."""
    first_sent_at = entry.first_sent_at or now
    return replace(entry, state=EntryState.SENT, first_sent_at=first_sent_at, attempts=entry.attempts + 1)


def accepted(entry: Entry) -> Entry:
    """The entry when Stripe has it."""
    return replace(entry, state=EntryState.ACCEPTED, reason=None)


def rejected(entry: Entry, *, reason: str) -> Entry:
    """The entry when Stripe will never take it."""
    return replace(entry, state=EntryState.REJECTED, reason=reason)


def put_off(before: Entry, *, attempts: int, reason: str) -> Entry:
    """Return the entry as it was before an attempt that changed nothing at Stripe, with the reason."""
    return replace(before, attempts=attempts, reason=reason)


def released(entry: Entry) -> Entry:
    """Return a rejected entry as one to be sent again.

    An earlier try of it may have arrived, so Stripe's sum decides unless it was never sent.
    """
    state = EntryState.SENT if entry.first_sent_at else EntryState.PENDING
    return replace(entry, state=state, reason=None)


def replaced(entry: Entry) -> Entry:
    """Return a rejected entry that a correction has replaced."""
    return replace(entry, state=EntryState.REPLACED)


def never_sent(entry: Entry) -> Entry:
    """The entry when it is certain that Stripe does not have it."""
    return replace(entry, state=EntryState.PENDING, first_sent_at=None)


def may_be_sent_blindly(entry: Entry, *, now: datetime) -> bool:
    """Whether Stripe still knows the identifier if it has had the event, so that it cannot count twice."""
    return entry.first_sent_at is None or now - entry.first_sent_at < RESEND_WITHIN


class Found(StrEnum):
    """What Stripe's own sum says of an entry."""

    THERE = "there"
    MISSING = "missing"
    UNCLEAR = "unclear"
    """The sum fits neither; sending again might charge twice."""
    UNDECIDED = "undecided"
    """As unclear, because the search was cut: too many other entries are uncertain."""


MAX_SUMS = 10_000
"""Different sums of uncertain entries that are compared with Stripe's; n entries can make 2^n."""


def found_in_sum(entry: Entry, others: Iterable[Entry], *, stripes_sum: int) -> Found:
    """Whether Stripe has counted the entry: whether its sum can be explained with it alone, or without it alone.

    Args:
        entry: the one in question.
        others: the other entries of the same meter that are stamped with the same hour.
        stripes_sum: what Stripe has of the meter in that hour.
    """
    rest = [other for other in others if other.identifier != entry.identifier]
    known = sum(other.quantity for other in rest if other.state is EntryState.ACCEPTED)
    uncertain = [other.quantity for other in rest if other.state is EntryState.SENT]
    possible = {known}
    for quantity in uncertain:
        possible |= {one + quantity for one in possible}
        if len(possible) > MAX_SUMS:
            return Found.UNDECIDED
    there, missing = stripes_sum - entry.quantity in possible, stripes_sum in possible
    if there == missing:
        return Found.UNCLEAR
    return Found.THERE if there else Found.MISSING


@dataclass(frozen=True, slots=True)
class Sums:
    """The usage of several hours together."""

    quantities: Mapping[BilledMeter, int] = field(default_factory=dict[BilledMeter, int])
    counted_until: datetime | None = None
    """The end of the newest of these hours."""


def summed(usages: Iterable[HourUsage]) -> Sums:
    """The billed units of these hours; storage is rounded down once, at the end."""
    meters: dict[Meter, int] = {}
    newest: datetime | None = None
    for usage in usages:
        newest = max(newest or usage.hour, usage.hour)
        for meter, amount in usage.meters.items():
            meters[meter] = meters.get(meter, 0) + amount
    return Sums(units_of(meters)[0], newest + HOUR if newest else None)


def lag_s(hours: Iterable[datetime], *, now: datetime) -> int:
    """For how long, in whole seconds, usage has been waiting for Stripe since the end of its hour; 0 if none waits."""
    return max((int((now - hour - HOUR).total_seconds()) for hour in hours), default=0)
