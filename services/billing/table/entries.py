"""The sync ledger: every meter event that was ever to be sent, and what became of it."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from services.billing.domain.cost import Period
from services.billing.domain.price import BilledMeter
from services.billing.domain.usage import HOUR, Entry, EntryState
from services.billing.errors import EntryChanged
from services.billing.table import SLICE
from services.billing.table.hours import SMALLEST, hour_from_text, hour_text, month_text, months_of
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with
from shared.times import from_text, to_text

SYNC, REJECTED = "SYNC", "REJECTED"
"""The queues of what is to be sent, by the time of the next attempt, and of what Stripe has refused for good."""

_SYNC_PK, _REJECTED_PK = SLICE.due_key(SYNC), SLICE.due_key(REJECTED)


def entry_at(store: Store, key: Key) -> Entry | None:
    """Return the entry under a key that the queue has named."""
    item = store.get(key)
    return _from_item(item) if item else None


def meter_and_hour_of(key: Key) -> tuple[BilledMeter, datetime]:
    """Return what was used and when, from an entry's key alone."""
    _, meter, hour, _ = key.sk.rsplit(":", 3)
    return BilledMeter(meter), hour_from_text(hour)


def entries_between(store: Store, tenant_id: str, period: Period) -> Iterator[Entry]:
    """The entries that are stamped with hours of this period, in that order."""
    for month in months_of(period):
        condition = Expression(
            "#PK = :pk AND #SK BETWEEN :first AND :last",
            {
                "pk": SLICE.key(tenant_id, "SYNC", month_text(month)),
                "first": hour_text(period.start),
                "last": f"{hour_text(period.end - SMALLEST)}#~",
            },
        )
        yield from (_from_item(item) for item in store.query_all(condition))


def entries_of_hour(store: Store, tenant_id: str, hour: datetime) -> list[Entry]:
    """The entries that are stamped with this hour."""
    return list(entries_between(store, tenant_id, Period(hour, hour + HOUR)))


def add_entries(store: Store, tenant_id: str, entries: Iterable[Entry], *, due_at: datetime) -> None:
    """Write entries that no usage has made.

    Args:
        store: the slice.
        tenant_id: whose.
        entries: as they are to be.
        due_at: when the sweep looks whether those that are open were sent.

    Raises:
        EntryChanged: somebody else has added some of them.
    """
    transaction = Transaction(tenant_id)
    for entry in entries:
        item = entry_to_item(entry, due_at=due_at if entry.is_open else None)
        transaction.put(item, when=ABSENT, otherwise=refuse_with(EntryChanged()))
    store.commit(transaction)


def save_entry(store: Store, before: Entry, after: Entry, *, due_at: datetime | None) -> None:
    """Write what became of an entry; with another stamp it moves.

    Args:
        store: the slice.
        before: the entry as it was read.
        after: the entry as it is to be.
        due_at: when somebody is to look at it again; None: it is final.

    Raises:
        EntryChanged: somebody else has changed it since.
    """
    refused = refuse_with(EntryChanged())
    unchanged = _unchanged(before)
    transaction = Transaction(before.tenant_id)
    if _key(before) == _key(after):
        transaction.put(entry_to_item(after, due_at=due_at), when=unchanged, otherwise=refused)
    else:
        transaction.delete(_key(before), when=unchanged, otherwise=refused)
        transaction.put(entry_to_item(after, due_at=due_at), when=ABSENT, otherwise=refused)
    store.commit(transaction)


def entry_to_item(entry: Entry, *, due_at: datetime | None) -> dict[str, Value]:
    """The item of an entry."""
    item: dict[str, Value] = {
        **_key(entry).attributes,
        "tenant_id": entry.tenant_id,
        "meter": entry.meter,
        "hour": to_text(entry.hour),
        "rev": entry.rev,
        "quantity": entry.quantity,
        "stamped_at": to_text(entry.stamped_at),
        "carried": entry.carried,
        "state": entry.state,
        "first_sent_at": to_text(entry.first_sent_at) if entry.first_sent_at else None,
        "reason": entry.reason,
        "attempts": entry.attempts,
    }
    if due_at:
        item |= {"due_pk": _SYNC_PK, "due_sk": to_text(due_at)}
    if entry.state is EntryState.REJECTED:
        item |= {"due_pk": _REJECTED_PK, "due_sk": to_text(entry.first_sent_at or entry.stamped_at)}
    return item


def _unchanged(before: Entry) -> Expression:
    """Return the condition that the entry is unchanged. Items of earlier versions have no attempts."""
    same = "#state = :was AND #attempts = :attempts"
    values: dict[str, Value] = {"was": before.state, "attempts": before.attempts}
    never = " OR #state = :was AND attribute_not_exists(#attempts)" if not before.attempts else ""
    return Expression(same + never, values)


def _key(entry: Entry) -> Key:
    pk = SLICE.key(entry.tenant_id, "SYNC", month_text(entry.stamp_hour))
    return Key(pk, f"{hour_text(entry.stamp_hour)}#{entry.identifier}")


def _from_item(item: Item) -> Entry:
    reader = Reader(item)
    first_sent_at = reader.optional_text("first_sent_at")
    return Entry(
        tenant_id=reader.text("tenant_id"),
        meter=BilledMeter(reader.text("meter")),
        hour=from_text(reader.text("hour")),
        rev=reader.integer("rev"),
        quantity=reader.integer("quantity"),
        stamped_at=from_text(reader.text("stamped_at")),
        carried=reader.flag("carried"),
        state=EntryState(reader.text("state")),
        first_sent_at=from_text(first_sent_at) if first_sent_at else None,
        reason=reader.optional_text("reason"),
        attempts=reader.optional_integer("attempts") or 0,
        due_at=from_text(reader.text("due_sk")) if reader.optional_text("due_pk") == _SYNC_PK else None,
    )
