"""Publication of events from the outbox to the bus, at least once.

An event stays in the outbox until it is on the bus. The stream delivers it within milliseconds, and the sweep finds the
events that the stream loses. Neither the order (`seq`) nor a second delivery (inbox marks) matters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from shared.metrics import DEAD_LETTERS, EVENTS_PUBLISHED, OUTBOX_AGE, Metric
from shared.observability import report
from shared.storage.items import Item, Key, item_from_wire, key_of
from shared.storage.outbox import happened_at, trace_of

_ENTRIES_AT_ONCE, _DELETES_AT_ONCE = 10, 25
_QUEUE = "core.publisher"
_INVALID = frozenset({"MalformedDetail", "InvalidArgument", "ValidationException", "RequestEntityTooLarge"})
"""Codes that concern this event alone. With any other code, such as that of a missing permission or bus, the event
stays in the outbox.
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html"""
_REFUSED_AS_A_WHOLE = frozenset({"ValidationException", "RequestEntityTooLarge"})


class Bus(Protocol):
    """The operation that is called, as in boto3's EventBridge client."""

    def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """Call PutEvents."""


class OutboxStore(Protocol):
    """The tables with the outbox items."""

    def delete(self, table: str, keys: Sequence[Key]) -> None:
        """Delete published events."""

    def dead_letter(self, table: str, item: Item, *, reason: str) -> None:
        """Move an event that the bus refuses as invalid to the dead letters."""


class NotPublished(Exception):
    """The bus did not accept some events; they stay in the outbox and are retried."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """A publisher, which puts outbox items on the bus and deletes the accepted ones."""

    bus: Bus
    bus_name: str
    outboxes: OutboxStore
    clock: Callable[[], datetime]

    def publish(self, table: str, items: Sequence[Item]) -> int:
        """Publish outbox items of one table, and return the number that left the outbox.

        Raises:
            NotPublished: some items must be retried; the accepted ones are deleted nevertheless.
        """
        taken: list[Key] = []
        left = lost = 0
        try:
            for some in _in_parts(items, _ENTRIES_AT_ONCE):
                for item, code in zip(some, self._put(some), strict=True):
                    if code and code not in _INVALID:
                        left += 1
                        continue
                    if code:
                        self.outboxes.dead_letter(table, item, reason=code)
                        lost += 1
                    taken.append(key_of(item))
        finally:
            # Also after an error of the bus, since the accepted events need not be published again.
            for some in _in_parts(taken, _DELETES_AT_ONCE):
                self.outboxes.delete(table, some)
        self._report(table, items, taken=len(taken), left=left, lost=lost)
        if left:
            raise NotPublished(left)
        return len(taken)

    def _put(self, items: Sequence[Item]) -> list[str]:
        """Send items to the bus and return an error code for each, empty if it was accepted.

        A request that is refused as a whole, for example because it is too large, is halved until the event is found.
        """
        try:
            answer = self.bus.put_events(Entries=[self._entry(item) for item in items])
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code not in _REFUSED_AS_A_WHOLE:
                raise
            if len(items) == 1:
                return [code]
            half = len(items) // 2
            return self._put(items[:half]) + self._put(items[half:])
        return [str(result.get("ErrorCode") or "") for result in answer["Entries"]]

    def _entry(self, item: Item) -> dict[str, Any]:
        trace_id = trace_of(item)
        # X-Ray continues this trace in the queues behind the bus; consumers read the trace id of the envelope.
        header = {"TraceHeader": f"Root={trace_id}"} if trace_id else {}
        return {
            "EventBusName": self.bus_name,
            "Source": item["source"],
            "DetailType": item["type"],
            "Detail": item["event"],
            **header,
        }

    def _report(self, table: str, items: Sequence[Item], *, taken: int, left: int, lost: int) -> None:
        """Log one line for the batch, with the ids of its events."""
        measured: dict[Metric, float] = {EVENTS_PUBLISHED: taken - lost, DEAD_LETTERS: lost}
        if items:
            oldest = min(happened_at(item) for item in items)
            measured[OUTBOX_AGE] = max(0, int((self.clock() - oldest).total_seconds() * 1000))
        report(
            "published",
            measured,
            table=table,
            left=left,
            queue=_QUEUE,
            event_ids=[key_of(item).sk.partition("#")[2] for item in items],
            trace_ids=sorted({trace_of(item) for item in items} - {""}),
        )


def inserted_items(batch: Mapping[str, Any]) -> dict[str, list[Item]]:
    """Return the new outbox items in a batch of stream records, by table name."""
    tables: dict[str, list[Item]] = {}
    for record in batch["Records"]:
        if record["eventName"] == "INSERT":
            # arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<label>
            table = record["eventSourceARN"].split("/")[1]
            tables.setdefault(table, []).append(item_from_wire(record["dynamodb"]["NewImage"]))
    return tables


def _in_parts(entries: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]
