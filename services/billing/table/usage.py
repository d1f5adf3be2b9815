"""Usage by the hour, as metering said it, and its booking into the sync ledger."""

from collections.abc import Iterator
from datetime import datetime

from services.billing.domain.cost import Period
from services.billing.domain.usage import HOUR, Booking, HourUsage, hour_of
from services.billing.errors import AlreadyBooked, AlreadyKept
from services.billing.table import SLICE, entries
from services.billing.table.hours import SMALLEST, hour_from_text, hour_text, month_text, months_of
from shared.meters import Meter
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with


def keep_usage(store: Store, tenant_id: str, usage: HourUsage) -> None:
    """Keep what was said of an hour.

    Raises:
        AlreadyKept: it was said before.
    """
    transaction = Transaction(tenant_id)
    transaction.put(_to_item(tenant_id, usage), when=ABSENT, otherwise=refuse_with(AlreadyKept()))
    store.commit(transaction)


def find_usage(store: Store, tenant_id: str, *, hour: datetime, rev: int) -> HourUsage | None:
    """What is kept of an hour and rev."""
    item = store.get(_key(tenant_id, hour, rev))
    return _from_item(item) if item else None


def usage_between(store: Store, tenant_id: str, period: Period) -> Iterator[HourUsage]:
    """The usage of the hours that start in this period, in the order of time."""
    for month in months_of(period):
        condition = Expression(
            "#PK = :pk AND #SK BETWEEN :first AND :last",
            {
                "pk": SLICE.key(tenant_id, "USAGE", month_text(month)),
                "first": hour_text(first_hour_in(period)),
                "last": f"{hour_text(period.end - SMALLEST)}#~",
            },
        )
        yield from (_from_item(item) for item in store.query_all(condition))


def read_remainder(store: Store, tenant_id: str) -> int:
    """The byte-hours that the booked hours have left over."""
    item = store.get(_remainder_key(tenant_id))
    return Reader(item).integer("byte_hours") if item else 0


def add_booking(
    store: Store, tenant_id: str, usage: HourUsage, booking: Booking, *, left_before: int, due_at: datetime
) -> None:
    """Put the meter events of an hour into the sync ledger, once.

    Args:
        store: the slice.
        tenant_id: whose usage it is.
        usage: of the hour.
        booking: what it becomes.
        left_before: the remainder that the booking was made with.
        due_at: when somebody is to look whether they were sent.

    Raises:
        AlreadyBooked: they are there, or another hour was booked since the remainder was read.
    """
    refused = refuse_with(AlreadyBooked())
    transaction = Transaction(tenant_id)
    transaction.update(
        _key(tenant_id, usage.hour, usage.rev),
        Expression("SET #booked = :booked", {"booked": True}),
        when=Expression("#booked = :not_yet", {"not_yet": False}),
        otherwise=refused,
    )
    if booking.byte_hours_left != left_before:
        there = Expression("attribute_not_exists(PK) OR #byte_hours = :before", {"before": left_before})
        remainder = {**_remainder_key(tenant_id).attributes, "byte_hours": booking.byte_hours_left}
        transaction.put(remainder, when=there, otherwise=refused)
    for entry in booking.entries:
        transaction.put(entries.entry_to_item(entry, due_at=due_at), when=ABSENT, otherwise=refused)
    store.commit(transaction)


def first_hour_in(period: Period) -> datetime:
    """The first hour that starts in the period."""
    hour = hour_of(period.start)
    return hour if hour == period.start else hour + HOUR


def _key(tenant_id: str, hour: datetime, rev: int) -> Key:
    return Key(SLICE.key(tenant_id, "USAGE", month_text(hour)), f"{hour_text(hour)}#{rev:06d}")


def _remainder_key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "REMAINDER")


def _to_item(tenant_id: str, usage: HourUsage) -> dict[str, Value]:
    return {
        **_key(tenant_id, usage.hour, usage.rev).attributes,
        "meters": {meter.value: amount for meter, amount in usage.meters.items()},
        "events": usage.events,
        "booked": usage.booked,
    }


def _from_item(item: Item) -> HourUsage:
    reader = Reader(item)
    hour, _, rev = reader.text("SK").partition("#")
    return HourUsage(
        hour=hour_from_text(hour),
        rev=int(rev),
        meters={Meter(name): amount for name, amount in reader.integers("meters").items()},
        events=reader.integer("events"),
        booked=reader.flag("booked"),
    )
