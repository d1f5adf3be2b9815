"""The ledger: its entries, those of a time, and what is kept aside."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.metering.domain.counting import Outcome
from services.metering.domain.hours import Revision
from services.metering.domain.usage import OTHER, Dimensions, Entry, Kind, Origin
from services.metering.table import KEPT, SLICE
from services.metering.table.amounts import dimensions_from_item, dimensions_to_item, meters_from_item
from shared.storage.items import Item, Key, Reader, Value, key_of
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.times import epoch, from_text, to_text


def keep_aside(store: Store, tenant_id: str, entry: Entry, *, because: Outcome) -> None:
    """Keep an entry that is not counted, for someone to look at."""
    transaction = Transaction(tenant_id)
    transaction.put(
        {
            **Key(SLICE.key(tenant_id, "ASIDE", entry.event_id), entry.content_hash).attributes,
            "list_pk": SLICE.key(tenant_id, "ASIDE"),
            "list_sk": place_of(entry),
            "because": because,
            # A map of its own: a scan for a tenant's usage must find the ledger alone.
            "entry": content_of(tenant_id, entry),
            "ttl": epoch(entry.occurred_at + KEPT + KEPT),
        }
    )
    store.commit(transaction)


def list_entries(
    store: Store, tenant_id: str, *, start: datetime, end: datetime, limit: int, after: str | None
) -> tuple[list[Entry], str | None]:
    """A page of the ledger between two moments (half-open), newest first, and the place to go on from."""
    items, place = _page(store, tenant_id, start=start, end=end, limit=limit, after=after)
    return [_entry_from_item(item) for item in items], place


def entries_between(
    store: Store, tenant_id: str, *, start: datetime, end: datetime, after: str | None = None
) -> Iterator[Entry]:
    """All of the ledger between two moments (half-open), newest first, or what follows a place; read page by page."""
    for one in counted_between(store, tenant_id, start=start, end=end, after=after):
        yield one.entry


@dataclass(frozen=True, slots=True)
class CountedEntry:
    """An entry, and what counts it."""

    entry: Entry
    revision: Revision
    """Of its hour."""
    row: Dimensions
    """By dimensions, in that revision."""


def counted_between(
    store: Store, tenant_id: str, *, start: datetime, end: datetime, after: str | None = None
) -> Iterator[CountedEntry]:
    """The same, each entry with what counts it."""
    place = after
    while True:
        items, place = _page(store, tenant_id, start=start, end=end, limit=_READ_AT_ONCE, after=place)
        for item in items:
            entry, reader = _entry_from_item(item), Reader(item)
            row = OTHER if reader.flag("in_other") else entry.dimensions
            yield CountedEntry(entry, Revision(entry.hour, reader.integer("revision")), row)
        if place is None:
            return


def find_entries(store: Store, tenant_id: str, event_ids: Sequence[str]) -> list[Entry]:
    """Those of these entries that there are."""
    found = store.get_many([entry_key(tenant_id, event_id) for event_id in event_ids])
    return [_entry_from_item(item) for item in found.values()]


def _page(
    store: Store, tenant_id: str, *, start: datetime, end: datetime, limit: int, after: str | None
) -> tuple[list[Item], str | None]:
    ledger = SLICE.key(tenant_id, "LEDGER")
    # A place is longer than the moment that it begins with, so `end` itself is left out.
    condition = Expression(
        "#list_pk = :ledger AND #list_sk BETWEEN :start AND :end",
        {"ledger": ledger, "start": to_text(start), "end": to_text(end)},
    )
    if after is not None and not to_text(start) <= after <= to_text(end):
        # The database refuses a start key outside of its range; one that a moving range has passed is at its end.
        return [], None
    resume_after = _index_key(tenant_id, after) if after else None
    # One more than asked for tells whether there is another page.
    found = store.query(condition, index="list", newest_first=True, limit=limit + 1, resume_after=resume_after).items
    page = found[:limit]
    keys = [key_of(item) for item in page]
    items = store.get_many(keys)
    return [items[key] for key in keys if key in items], str(page[-1]["list_sk"]) if len(found) > limit else None


_READ_AT_ONCE = 100


def entry_key(tenant_id: str, event_id: str) -> Key:
    """Where an entry lies: its id alone decides, so that it is there once."""
    return Key(SLICE.key(tenant_id, "EVENT", event_id), "EVENT")


def place_of(entry: Entry) -> str:
    """Where an entry stands in the order of time."""
    return f"{to_text(entry.occurred_at)}#{entry.event_id}"


def _index_key(tenant_id: str, place: str) -> Item:
    key = entry_key(tenant_id, place.partition("#")[2])
    return {**key.attributes, "list_pk": SLICE.key(tenant_id, "LEDGER"), "list_sk": place}


def content_of(tenant_id: str, entry: Entry) -> dict[str, Value]:
    """What an entry says, in the table and in the archive; the attribute names are those that operators know."""
    origin = entry.origin
    return {
        "tenantId": tenant_id,
        "eventId": entry.event_id,
        "timestamp": to_text(entry.occurred_at),
        **_origin_to_item(origin),
        **dimensions_to_item(entry.dimensions),
        **entry.meters,
        "cost_nano_usd": entry.cost_nano_usd,
        "period": entry.period,
        "content_hash": entry.content_hash,
    }


def _origin_to_item(origin: Origin) -> dict[str, Value]:
    said: dict[str, Value] = {
        "kind": origin.kind,
        "source": origin.source,
        "reportedId": origin.reported_id,
        "runId": origin.run_id,
        "attempt": origin.attempt,
        "call": origin.call,
        "requestId": origin.request_id,
        "agentVersion": origin.agent_version,
        "price_version": origin.price_version,
        "simulated": origin.simulated or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def entry_to_item(tenant_id: str, entry: Entry, *, revision: int, row: Dimensions | None = None) -> dict[str, Value]:
    """An entry as it lies in the ledger.

    Args:
        tenant_id: whose.
        entry: what was used.
        revision: of its hour, that counts it; above 0 it came late.
        row: the dimensions of the row that counts it; its own by default.
    """
    in_other = {} if row in {None, entry.dimensions} else {"in_other": True}
    return {
        **entry_key(tenant_id, entry.event_id).attributes,
        **content_of(tenant_id, entry),
        **in_other,
        "revision": revision,
        "list_pk": SLICE.key(tenant_id, "LEDGER"),
        "list_sk": place_of(entry),
        "ttl": epoch(entry.occurred_at + KEPT),
    }


def content_hash_of(item: Item | None) -> str:
    """The content of an entry that is there."""
    return Reader(item or {}).text("content_hash")


def _entry_from_item(item: Item) -> Entry:
    reader = Reader(item)
    return Entry(
        event_id=reader.text("eventId"),
        occurred_at=from_text(reader.text("timestamp")),
        origin=_origin_from_item(reader),
        dimensions=dimensions_from_item(item),
        meters=meters_from_item(item),
        cost_nano_usd=reader.optional_integer("cost_nano_usd"),
        period=reader.text("period"),
        content_hash=reader.text("content_hash"),
    )


def _origin_from_item(reader: Reader) -> Origin:
    return Origin(
        Kind(reader.text("kind")),
        source=reader.optional_text("source"),
        reported_id=reader.optional_text("reportedId"),
        run_id=reader.optional_text("runId"),
        attempt=reader.optional_integer("attempt"),
        call=reader.optional_integer("call"),
        request_id=reader.optional_text("requestId"),
        agent_version=reader.optional_integer("agentVersion"),
        price_version=reader.optional_text("price_version"),
        simulated=reader.flag("simulated"),
    )
