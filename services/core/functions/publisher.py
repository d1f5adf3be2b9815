"""The publisher function: invoked by the streams of the three tables, and every minute for events that they lost."""

import json
import os
import time
from functools import cache
from typing import Any

from services.core.outbox.operations.publishing import Publisher, inserted_items
from services.core.outbox.operations.sweep import sweep
from services.core.outbox.table import Outboxes
from shared.aws.clients import own_client
from shared.edge import open_scope
from shared.observability import in_trace, trace_of_invocation
from shared.scope import Opened, WorkScope
from shared.times import utc_now


def handler(event: dict[str, Any], context: object = None) -> None:
    """Publish the events of a stream, or sweep the outboxes when a schedule requests it.

    Raises:
        NotPublished: the bus did not accept all events; the stream sends the whole batch again.
    """
    if "Records" in event:
        # No deadline: the stream sends a batch again that the function's time limit has interrupted.
        with Opened(WorkScope()), in_trace(trace_of_invocation()):
            for table, items in inserted_items(event).items():
                publisher().publish(table, items)
        return
    tables: dict[str, str] = json.loads(os.environ["OUTBOXES"])
    with open_scope(context):
        sweep(publisher(), outboxes(), tables=tables, now=utc_now(), monotonic=time.monotonic)


@cache
def publisher() -> Publisher:
    """Return the publisher of this container."""
    return Publisher(
        bus=own_client("events"), bus_name=os.environ["EVENT_BUS_NAME"], outboxes=outboxes(), clock=utc_now
    )


def outboxes() -> Outboxes:
    """Return the outboxes of all slices."""
    return Outboxes(dead_letters_url=os.environ["DEAD_LETTERS_URL"])
