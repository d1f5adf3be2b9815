"""Hourly usage as published by metering, and its booking into the sync ledger."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from services.billing.customers.domain.period import BillingPeriod, hour_from_text, hour_text
from services.billing.errors import HourAlreadyBooked, HourAlreadyStored
from services.billing.partitions import USAGE
from services.billing.usage_sync.domain import HOUR, Booking, HourUsage, hour_of
from services.billing.usage_sync.table.entries import SyncLedger
from services.billing.usage_sync.table.months import MonthlyTable
from shared.storage.codec import Codec
from shared.storage.items import Item
from shared.storage.table import TenantTable
from shared.storage.transaction import Expression, refuse_with


@dataclass(frozen=True, slots=True)
class Remainder:
    """The byte-hours that are left over from the booked hours."""

    byte_hours: int


class RemainderTable(TenantTable[Remainder]):
    """The remainder of one tenant."""

    prefix = "REMAINDER"
    codec = Codec(Remainder)

    def read(self) -> int:
        """Return the byte-hours that are left over; 0 before the first booking."""
        remainder = self.find()
        return remainder.byte_hours if remainder else 0


class UsageTable(MonthlyTable[HourUsage]):
    """The usage of one tenant: each hour, and its corrections."""

    name = USAGE
    codec = Codec(HourUsage, given=("hour", "rev"), always=("booked",))

    def id_of(self, record: HourUsage) -> str:
        """Return the hour and the revision."""
        return _id(record.hour, record.rev)

    def decode(self, item: Item) -> HourUsage:
        """Return the usage in an item."""
        hour, _, rev = str(item["SK"]).partition("#")
        return self.codec.decode(item, hour=hour_from_text(hour), rev=int(rev))

    def create(self, usage: HourUsage) -> None:
        """Store one revision of an hour.

        Raises:
            HourAlreadyStored: the revision is already stored.
        """
        transaction = self.transaction()
        self.add(transaction, usage, otherwise=refuse_with(HourAlreadyStored()))
        self.store.commit(transaction)

    def find_revision(self, hour: datetime, rev: int) -> HourUsage | None:
        """Return the stored usage of an hour and revision, or None."""
        return self.find(_id(hour, rev))

    def between(self, period: BillingPeriod) -> Iterator[HourUsage]:
        """Yield the usage of the hours that start in this period, in the order of time."""
        hour = hour_of(period.start)
        return self.from_hour(hour if hour == period.start else hour + HOUR, period)

    def book(self, usage: HourUsage, booking: Booking, *, left_before: int, due_at: datetime) -> None:
        """Add the meter events of an hour to the sync ledger, exactly once.

        Args:
            usage: the usage of the hour.
            booking: the meter events and the new remainder.
            left_before: the remainder from which the booking was calculated.
            due_at: the time at which the sweep sends those that are still open.

        Raises:
            HourAlreadyBooked: the hour is already booked, or another hour changed the remainder after it was read.
        """
        refused = refuse_with(HourAlreadyBooked())
        transaction = self.transaction()
        transaction.update(
            self.key(self.id_of(usage)),
            self.setting(booked=True),
            when=self.equal(booked=False),
            otherwise=refused,
        )
        if booking.byte_hours_left != left_before:
            unchanged = Expression("attribute_not_exists(PK) OR #byte_hours = :before", {"before": left_before})
            remainder = RemainderTable(self.store, self.tenant_id).item(Remainder(booking.byte_hours_left))
            transaction.put(remainder, when=unchanged, otherwise=refused)
        ledger = SyncLedger(self.store, self.tenant_id)
        for entry in booking.entries:
            ledger.put_new(transaction, entry, due_at=due_at, otherwise=refused)
        self.store.commit(transaction)


def _id(hour: datetime, rev: int) -> str:
    return f"{hour_text(hour)}#{rev:06d}"
