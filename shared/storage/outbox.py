"""Events to publish, written in the transaction of the state that they describe, and deleted after publication."""

import re
from datetime import datetime, timedelta

from shared.declaration import Slice
from shared.events.envelope import Event, EventData
from shared.observability import current_trace_id
from shared.storage.items import Item, Key, Value
from shared.times import from_text, to_text

SORT_KEY_PREFIX = "OUTBOX#"
"""The prefix that the publisher's stream filter matches."""

GRACE = timedelta(seconds=30)
"""The time after which the sweep publishes an event that the stream has not delivered."""

_TRACE_ID = re.compile(r'"trace_id":"(1-[0-9a-f]{8}-[0-9a-f]{24})"')


def outbox_key(owned: Slice, event: Event[EventData]) -> Key:
    """Return the key of an event in the outbox."""
    return Key(owned.key(event.tenant_id, "OUTBOX"), SORT_KEY_PREFIX + event.id)


def outbox_item(owned: Slice, event: Event[EventData]) -> dict[str, Value]:
    """Return the outbox item of an event. It has no TTL, so no accepted event is lost."""
    traced = event.model_copy(update={"trace_id": event.trace_id or current_trace_id()})
    return {
        **outbox_key(owned, event).attributes,
        "source": traced.source,
        "type": traced.type,
        "event": traced.model_dump_json(),
        "due_pk": owned.due_key("OUTBOX"),
        "due_sk": f"{to_text(event.occurred_at + GRACE)}#{event.id}",
    }


def happened_at(item: Item) -> datetime:
    """Return the time at which the event of an outbox item occurred."""
    return from_text(str(item["due_sk"]).partition("#")[0]) - GRACE


def trace_of(item: Item) -> str:
    """Return the trace id of an outbox item, or an empty string if X-Ray cannot read it."""
    found = _TRACE_ID.search(str(item["event"]))
    return found[1] if found else ""
