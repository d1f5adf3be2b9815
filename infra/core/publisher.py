"""Core's publisher: woken by the streams of the three tables, and every minute for what they have lost."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.deadline import invocation, remaining_s
from shared.messaging.publisher import NotPublished, Publisher, inserted_items
from shared.metrics import OUTBOX_LATE
from shared.observability import continue_trace, logger, report, trace_of_invocation
from shared.storage.clients import own_client
from shared.storage.items import Item, Key, Wire, item_from_wire, key_of
from shared.times import to_text, utc_now

_KEYS_AT_ONCE = 100


def handler(event: dict[str, Any], context: object = None) -> None:
    """Publish what a stream brings, or sweep the outboxes when a schedule asks for it.

    Raises:
        NotPublished: the bus did not take all; the stream brings the whole batch again.
    """
    continue_trace(trace_of_invocation())
    if "Records" in event:
        for table, items in inserted_items(event).items():
            _publisher().publish(table, items)
        return
    with invocation(context):
        _sweep()


def _sweep() -> None:
    """Publish what has stood in an outbox for longer than a stream takes, until the time is over.

    Each slice has its share of the time, and one that fails leaves it to the others.
    """
    now = to_text(utc_now())
    published = late = 0
    outboxes: dict[str, str] = json.loads(os.environ["OUTBOXES"])
    for number, (owned, table) in enumerate(outboxes.items()):
        ends_at = time.monotonic() + remaining_s() / (len(outboxes) - number)
        try:
            for keys in _due_keys(table, owned=owned, now=now):
                late += len(keys)
                published += _publish_due(table, keys, owned=owned)
                if time.monotonic() >= ends_at:
                    break
        except (ClientError, BotoCoreError) as error:
            logger.warning("an outbox was not swept", slice=owned, error=type(error).__name__)
    report("swept", {OUTBOX_LATE: late}, events=published)


def _publish_due(table: str, keys: Sequence[Key], *, owned: str) -> int:
    """Publish a page of events; those that the bus does not take stay, and hold up no others."""
    try:
        return _publisher().publish(table, list(_items(table, keys)))
    except NotPublished:
        logger.warning("the bus did not take all", slice=owned)
        return 0


def _due_keys(table: str, *, owned: str, now: str) -> Iterator[list[Key]]:
    """Yield the keys of due events page by page; a page is read when the one before is published."""
    start: Wire = {}
    while True:
        answer = own_client("dynamodb").query(
            TableName=table,
            IndexName="due",
            KeyConditionExpression="due_pk = :pk AND due_sk <= :now",
            ExpressionAttributeValues={":pk": {"S": f"DUE#{owned}#OUTBOX"}, ":now": {"S": now}},
            Limit=_KEYS_AT_ONCE,
            **start,
        )
        if answer["Items"]:
            yield [key_of(item_from_wire(item)) for item in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _items(table: str, keys: Sequence[Key]) -> Iterator[Item]:
    """The outbox items themselves; one that was published meanwhile is gone."""
    for key in keys:
        answer = own_client("dynamodb").get_item(TableName=table, Key=key.wire, ConsistentRead=True)
        if "Item" in answer:
            yield item_from_wire(answer["Item"])


class _Outboxes:
    """The outbox items of the three tables: this function may delete them, and nothing else."""

    def delete(self, table: str, keys: Sequence[Key]) -> None:
        """Delete what has been published; a key that DynamoDB leaves over is swept and published again."""
        requests: list[Wire] = [{"DeleteRequest": {"Key": key.wire}} for key in keys]
        own_client("dynamodb").batch_write_item(RequestItems={table: requests})

    def set_aside(self, table: str, item: Item, *, reason: str) -> None:
        """Put an event that the bus refuses to the dead letters."""
        body = {"table": table, "reason": reason, "detail": json.loads(str(item["event"]))}
        own_client("sqs").send_message(QueueUrl=os.environ["DEAD_LETTERS_URL"], MessageBody=json.dumps(body))


@cache
def _publisher() -> Publisher:
    return Publisher(bus=own_client("events"), bus_name=os.environ["EVENT_BUS_NAME"], outboxes=_Outboxes())
