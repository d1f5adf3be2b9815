"""What each tenant has in the bucket."""

from collections.abc import Iterable, Mapping

from services.metering.domain.storage import Change, Changes, Sample, Stored
from services.metering.table import SLICE
from services.metering.table.amounts import hour_from_text, hour_to_text
from shared.storage.inbox import Delivery
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.times import to_text

_DUE = SLICE.due_key("STORAGE")


def read(store: Store, tenant_id: str) -> Stored:
    """What the tenant has."""
    item = store.get(_key(tenant_id))
    return _from_item(item) if item else Stored()


def save(store: Store, tenant_id: str, before: Stored, after: Stored, *, deliveries: Iterable[Delivery] = ()) -> bool:
    """Write what the tenant has, with a mark for each delivery; return False if either was written meanwhile."""
    transaction = Transaction(tenant_id)
    for delivery in deliveries:
        delivery.mark(transaction, SLICE)
    same = Expression("attribute_not_exists(PK) OR #seq = :before", {"before": before.seq})
    transaction.put(_to_item(tenant_id, after), when=same)
    return not store.try_commit(transaction)


def without_handled(store: Store, tenant_id: str, changes: Mapping[Delivery, Change]) -> dict[Delivery, Change]:
    """Return the changes that are not in effect yet."""
    keys = {delivery: delivery.mark_key(SLICE, tenant_id) for delivery in changes}
    handled = store.get_many(list(dict.fromkeys(keys.values())))
    return {delivery: change for delivery, change in changes.items() if keys[delivery] not in handled}


def _key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "STORAGE")


def _to_item(tenant_id: str, stored: Stored) -> dict[str, Value]:
    changes: list[Value] = [
        {"hour": hour_to_text(hour), "bytes": one.bytes, "byte_ms": one.byte_ms} for hour, one in stored.changes.items()
    ]
    item: dict[str, Value] = {
        **_key(tenant_id).attributes,
        "seq": stored.seq,
        "bytes_then": stored.bytes_then,
        "changes": changes,
    }
    if stored.sampled_until:
        item["sampled_until"] = hour_to_text(stored.sampled_until)
    if stored.sample:
        item["sample"] = {"hour": hour_to_text(stored.sample.hour), "byte_hours": stored.sample.byte_hours}
    if stored.due_at:
        item |= {"due_pk": _DUE, "due_sk": f"{to_text(stored.due_at)}#{tenant_id}"}
    return item


def _from_item(item: Item) -> Stored:
    reader = Reader(item)
    until = reader.optional_text("sampled_until")
    sample = reader.map("sample") if "sample" in item else None
    return Stored(
        seq=reader.integer("seq"),
        sampled_until=hour_from_text(until) if until else None,
        bytes_then=reader.integer("bytes_then"),
        changes={
            hour_from_text(one.text("hour")): Changes(one.integer("bytes"), one.integer("byte_ms"))
            for one in reader.maps("changes")
        },
        sample=Sample(hour_from_text(sample.text("hour")), sample.integer("byte_hours")) if sample else None,
    )
