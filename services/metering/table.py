"""The usage slice.

TENANT#<t>#USAGE                        COPY#TENANT                  what is known of the tenant
TENANT#<t>#USAGE#EVENT#<event id>       EVENT                        an entry of the ledger; in the `list` index by time
TENANT#<t>#USAGE#MONTH#<month>#<shard>  TOTAL#<hour>                 the tenant's usage in the hour; `closed` fences it
TENANT#<t>#USAGE#MONTH#<month>#<shard>  DIM#<hour>#<hash>            the same of one agent, model, provider and project
TENANT#<t>#USAGE#CONFLICT#<event id>    <content hash>               an event whose id is taken by other content

A month is `2026-11`, an hour `2026-11-22T23`. The hours of a month lie in one partition for each shard and sort by
time, so that one query reads any days of it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from services.metering.domain import Amounts, Counter, Days, Dimensions, Entry, raised_by
from shared.declaration import Slice, Table
from shared.events.envelope import Event, EventData
from shared.meters import Meter
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.traces import Traces
from shared.storage.transaction import ABSENT, MAX_ACTIONS, Expression, Transaction
from shared.times import epoch, from_text, to_text

SLICE = Slice("USAGE", Table.USAGE)
KEPT = timedelta(days=90)
"""How long the ledger is in the table, from when the usage happened."""

_FIRST_MONTH = date(2026, 1, 1)
"""Before it there was nothing to count."""

ENTRIES_AT_ONCE = MAX_ACTIONS // 3 - 3
"""An entry takes at most three actions of a transaction: itself, its hour's total and its row; some are left free."""

_OPEN = Expression("attribute_not_exists(#closed)")


@dataclass(frozen=True, slots=True)
class Refusals:
    """Why a transaction was refused; empty: it was carried out."""

    hashes_there: dict[str, str] = field(default_factory=dict[str, str])
    """By event id, what the ledger already has of the entries."""
    closed: set[Counter] = field(default_factory=set[Counter])
    """The totals whose hour is closed."""

    def __bool__(self) -> bool:
        return bool(self.hashes_there or self.closed)


def add_entries(store: Store, tenant_id: str, entries: Sequence[Entry]) -> Refusals:
    """Write entries to the ledger and raise their counters: all of them, or none when one is refused."""
    transaction = Transaction(tenant_id)
    by_key = {_entry_key(tenant_id, entry.event_id): entry for entry in entries}
    for entry in entries:
        transaction.put(_entry_to_item(tenant_id, entry), when=ABSENT)
    raised = {_counter_key(tenant_id, counter): (counter, amounts) for counter, amounts in raised_by(entries).items()}
    for key, (counter, amounts) in raised.items():
        transaction.update(key, _raise(counter, amounts), when=None if counter.dimensions else _OPEN)
    refusals = Refusals()
    for refused in store.try_commit(transaction):
        key = refused.action.key
        if key in by_key:
            refusals.hashes_there[by_key[key].event_id] = Reader(refused.there or {}).text("content_hash")
        else:
            refusals.closed.add(raised[key][0])
    return refusals


def keep_aside(store: Store, tenant_id: str, entry: Entry) -> None:
    """Keep an entry that conflicts with the ledger, for someone to look at; it is never counted."""
    transaction = Transaction(tenant_id)
    transaction.put(
        {
            **Key(SLICE.key(tenant_id, "CONFLICT", entry.event_id), entry.content_hash).attributes,
            "list_pk": SLICE.key(tenant_id, "CONFLICTS"),
            "list_sk": _place(entry),
            # A map of its own: a scan for a tenant's usage must find the ledger alone.
            "entry": _content(tenant_id, entry),
            "ttl": epoch(entry.occurred_at + KEPT),
        }
    )
    store.commit(transaction)


def list_entries(
    store: Store, tenant_id: str, *, start: datetime, end: datetime, limit: int, after: str | None
) -> tuple[list[Entry], str | None]:
    """A page of the ledger between two moments (half-open), newest first, and the place to go on from."""
    ledger = SLICE.key(tenant_id, "LEDGER")
    # A place is longer than the moment that it begins with, so `end` itself is left out.
    condition = Expression(
        "#list_pk = :ledger AND #list_sk BETWEEN :start AND :end",
        {"ledger": ledger, "start": to_text(start), "end": to_text(end)},
    )
    resume_after = _index_key(tenant_id, after) if after else None
    # One more than asked for tells whether there is another page.
    found = store.query(condition, index="list", newest_first=True, limit=limit + 1, resume_after=resume_after).items
    page = found[:limit]
    keys = [Key(str(item["PK"]), str(item["SK"])) for item in page]
    items = store.get_many(keys)
    entries = [_entry_from_item(items[key]) for key in keys if key in items]
    return entries, str(page[-1]["list_sk"]) if len(found) > limit else None


def read_counters(
    store: Store, tenant_id: str, days: Days, *, by_dimensions: bool
) -> Iterator[tuple[Counter, Amounts]]:
    """The counters of these days: the totals, or the rows by dimensions. One query for each month and shard."""
    kind = "DIM" if by_dimensions else "TOTAL"
    for part in days.by_month():
        for shard in range(part.shards):
            condition = Expression(
                "#PK = :pk AND #SK BETWEEN :first AND :last",
                {
                    "pk": SLICE.key(tenant_id, "MONTH", f"{part.start:%Y-%m}", str(shard)),
                    # `T` stands between a day and its hours, so the last day is left out.
                    "first": f"{kind}#{part.start.isoformat()}T",
                    "last": f"{kind}#{part.end.isoformat()}T",
                },
            )
            for item in store.query_all(condition):
                yield _counter_from_item(item, shard=shard)


def say(store: Store, tenant_id: str, event: Event[EventData]) -> None:
    """Say something that follows from nothing but what was heard; said again, it is the same event."""
    transaction = Transaction(tenant_id)
    transaction.emit(event)
    store.commit(transaction)


def _months_of(tenant_id: str, now: datetime) -> Iterator[str]:
    """The partitions of all months until the next one, in which a clock may be already."""
    for part in Days(_FIRST_MONTH, (now + timedelta(days=31)).date()).by_month():
        for shard in range(part.shards):
            yield SLICE.key(tenant_id, "MONTH", f"{part.start:%Y-%m}", str(shard))


TRACES = Traces(lists=("LEDGER", "CONFLICTS"), partitions=_months_of)


def _entry_key(tenant_id: str, event_id: str) -> Key:
    return Key(SLICE.key(tenant_id, "EVENT", event_id), "EVENT")


def _place(entry: Entry) -> str:
    """Where an entry stands in the order of time."""
    return f"{to_text(entry.occurred_at)}#{entry.event_id}"


def _index_key(tenant_id: str, place: str) -> Item:
    key = _entry_key(tenant_id, place.partition("#")[2])
    return {**key.attributes, "list_pk": SLICE.key(tenant_id, "LEDGER"), "list_sk": place}


def _counter_key(tenant_id: str, counter: Counter) -> Key:
    pk = SLICE.key(tenant_id, "MONTH", f"{counter.hour:%Y-%m}", str(counter.shard))
    hour = f"{counter.hour:%Y-%m-%dT%H}"
    if counter.dimensions is None:
        return Key(pk, f"TOTAL#{hour}")
    # Hashed, because a model's name may be long and hold any character.
    values = json.dumps(list(_dimensions_to_item(counter.dimensions).values()))
    return Key(pk, f"DIM#{hour}#{hashlib.sha256(values.encode()).hexdigest()[:32]}")


def _raise(counter: Counter, amounts: Amounts) -> Expression:
    added: dict[str, Value] = {
        "events": amounts.events,
        "unpriced_events": amounts.unpriced,
        "cost_nano_usd": amounts.priced_nano_usd,
        **amounts.meters,
    }
    added = {name: amount for name, amount in added.items() if amount}
    fixed = _dimensions_to_item(counter.dimensions) if counter.dimensions else {}
    text = "ADD " + ", ".join(f"#{name} :{name}" for name in added)
    if fixed:
        text += " SET " + ", ".join(f"#{name} = :{name}" for name in fixed)
    return Expression(text, {**added, **fixed})


def _counter_from_item(item: Item, *, shard: int) -> tuple[Counter, Amounts]:
    reader = Reader(item)
    kind, hour = reader.text("SK").split("#")[:2]
    counter = Counter(
        datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC),
        shard,
        _dimensions_from_item(reader) if kind == "DIM" else None,
    )
    amounts = Amounts(
        reader.optional_integer("events") or 0,
        reader.optional_integer("unpriced_events") or 0,
        reader.optional_integer("cost_nano_usd") or 0,
        _meters_from_item(reader),
    )
    return counter, amounts


def _dimensions_to_item(dimensions: Dimensions) -> dict[str, Value]:
    return {
        "agentId": dimensions.agent_id,
        "model": dimensions.model,
        "provider": dimensions.provider,
        "projectId": dimensions.project_id,
    }


def _dimensions_from_item(reader: Reader) -> Dimensions:
    return Dimensions(
        agent_id=reader.text("agentId"),
        model=reader.text("model"),
        provider=reader.text("provider"),
        project_id=reader.optional_text("projectId"),
    )


def _meters_from_item(reader: Reader) -> dict[Meter, int]:
    return {meter: amount for meter in Meter if (amount := reader.optional_integer(meter))}


def _content(tenant_id: str, entry: Entry) -> dict[str, Value]:
    """What an entry says; the attribute names are those that operators know."""
    return {
        "tenantId": tenant_id,
        "eventId": entry.event_id,
        "timestamp": to_text(entry.occurred_at),
        "runId": entry.run_id,
        "attempt": entry.attempt,
        "call": entry.call,
        "requestId": entry.request_id,
        "agentVersion": entry.agent_version,
        **_dimensions_to_item(entry.dimensions),
        **entry.meters,
        "cost_nano_usd": entry.cost_nano_usd,
        "price_version": entry.price_version,
        "simulated": entry.simulated,
        "period": entry.period,
        "content_hash": entry.content_hash,
    }


def _entry_to_item(tenant_id: str, entry: Entry) -> dict[str, Value]:
    return {
        **_entry_key(tenant_id, entry.event_id).attributes,
        **_content(tenant_id, entry),
        "list_pk": SLICE.key(tenant_id, "LEDGER"),
        "list_sk": _place(entry),
        "ttl": epoch(entry.occurred_at + KEPT),
    }


def _entry_from_item(item: Item) -> Entry:
    reader = Reader(item)
    return Entry(
        event_id=reader.text("eventId"),
        occurred_at=from_text(reader.text("timestamp")),
        run_id=reader.text("runId"),
        attempt=reader.integer("attempt"),
        call=reader.integer("call"),
        request_id=reader.text("requestId"),
        agent_version=reader.integer("agentVersion"),
        dimensions=_dimensions_from_item(reader),
        meters=_meters_from_item(reader),
        cost_nano_usd=reader.optional_integer("cost_nano_usd"),
        price_version=reader.optional_text("price_version"),
        simulated=reader.flag("simulated"),
        period=reader.text("period"),
        content_hash=reader.text("content_hash"),
    )
