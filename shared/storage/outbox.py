"""Events waiting to be published: written with the state that they speak of, deleted when they are on the bus."""

import re
from datetime import datetime, timedelta

from shared.declaration import Slice
from shared.events.envelope import Event, EventData
from shared.observability import current_trace_id
from shared.storage.items import Item, Key, Value
from shared.times import from_text, to_text

SORT_KEY_PREFIX = "OUTBOX#"
"""The publisher's stream filter looks for it."""

GRACE = timedelta(seconds=30)
"""How long the stream may take before the sweep publishes an event in its place."""

_TRACE_ID = re.compile(r'"trace_id":"(1-[0-9a-f]{8}-[0-9a-f]{24})"')


def outbox_key(owned: Slice, event: Event[EventData]) -> Key:
    """Where an event waits."""
    return Key(owned.key(event.tenant_id, "OUTBOX"), SORT_KEY_PREFIX + event.id)


def outbox_item(owned: Slice, event: Event[EventData]) -> dict[str, Value]:
    """The event as it waits; it has no TTL, so nothing that was accepted is forgotten."""
    said = event.model_copy(update={"trace_id": event.trace_id or current_trace_id()})
    return {
        **outbox_key(owned, event).attributes,
        "source": said.source,
        "type": said.type,
        "event": said.model_dump_json(),
        "due_pk": owned.due_key("OUTBOX"),
        "due_sk": f"{to_text(event.occurred_at + GRACE)}#{event.id}",
    }


def happened_at(item: Item) -> datetime:
    """When what an outbox item speaks of has happened."""
    return from_text(str(item["due_sk"]).partition("#")[0]) - GRACE


def trace_of(item: Item) -> str:
    """The trace that an outbox item belongs to, if X-Ray can read it."""
    found = _TRACE_ID.search(str(item["event"]))
    return found[1] if found else ""
