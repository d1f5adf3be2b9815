"""From the outbox to the bus: at least once.

An event stands in the outbox until it is on the bus. The stream brings it within milliseconds; whatever the stream
loses, the sweep finds. The order does not matter (`seq`), and a second delivery does not either (inbox marks).
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
from shared.times import utc_now

_ENTRIES_AT_ONCE, _DELETES_AT_ONCE = 10, 25
_QUEUE = "core.publisher"
_INVALID = frozenset({"MalformedDetail", "InvalidArgument", "ValidationException", "RequestEntityTooLarge"})
"""Codes that concern this very event. Every other one, a missing right or bus among them, may pass: the event stays.
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html"""
_REFUSED_AS_A_WHOLE = frozenset({"ValidationException", "RequestEntityTooLarge"})


class Bus(Protocol):
    """The call that is made; boto3's EventBridge client has it."""

    def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """PutEvents."""


class Outboxes(Protocol):
    """The tables that the outbox items lie in."""

    def delete(self, table: str, keys: Sequence[Key]) -> None:
        """Delete what has been published."""

    def set_aside(self, table: str, item: Item, *, reason: str) -> None:
        """Put an event that the bus refuses as invalid to the dead letters."""


class NotPublished(Exception):
    """The bus did not take some events; they stay in the outbox and come again."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Puts outbox items on the bus and deletes those that it took."""

    bus: Bus
    bus_name: str
    outboxes: Outboxes
    clock: Callable[[], datetime] = utc_now

    def publish(self, table: str, items: Sequence[Item]) -> int:
        """Publish these outbox items of one table; says how many the bus took.

        Raises:
            NotPublished: some must come again; what was taken is deleted all the same.
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
                        self.outboxes.set_aside(table, item, reason=code)
                        lost += 1
                    taken.append(key_of(item))
        finally:
            # Also when the bus stops to answer: what it has taken need not come again.
            for some in _in_parts(taken, _DELETES_AT_ONCE):
                self.outboxes.delete(table, some)
        self._report(table, items, taken=len(taken), left=left, lost=lost)
        if left:
            raise NotPublished(left)
        return len(taken)

    def _put(self, items: Sequence[Item]) -> list[str]:
        """Offer them to the bus; why it has not taken each, or nothing.

        A request that is refused as a whole, as one that is too large in all, is halved until it is known for which.
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
        # X-Ray goes on with it in the queues behind the bus; consumers read the envelope's.
        header = {"TraceHeader": f"Root={trace_id}"} if trace_id else {}
        return {
            "EventBusName": self.bus_name,
            "Source": item["source"],
            "DetailType": item["type"],
            "Detail": item["event"],
            **header,
        }

    def _report(self, table: str, items: Sequence[Item], *, taken: int, left: int, lost: int) -> None:
        """One line for the batch, by which each of its events is found."""
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
    """The new outbox items in a batch of stream records, by the name of their table."""
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
