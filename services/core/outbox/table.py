"""The outbox items in the three tables. Services write them; this capability reads and deletes them.

TENANT#<t>#<slice>#OUTBOX  OUTBOX#<event id>   an event, in the `due` index under DUE#<slice>#OUTBOX
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.aws.clients import own_client
from shared.storage.items import Item, Key, Wire, item_from_wire, key_of

_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Outboxes:
    """The outbox items of all slices, which are the only ones that the publisher may read and delete."""

    dead_letters_url: str
    """The queue of events that the bus refuses."""

    def due_keys(self, table: str, *, owned: str, now: str) -> Iterator[list[Key]]:
        """Yield the keys of a slice's due events page by page. A page is read after the previous one was published."""
        start: Wire = {}
        while True:
            answer = own_client("dynamodb").query(
                TableName=table,
                IndexName="due",
                KeyConditionExpression="due_pk = :pk AND due_sk <= :now",
                ExpressionAttributeValues={":pk": {"S": f"DUE#{owned}#OUTBOX"}, ":now": {"S": now}},
                Limit=_PAGE_SIZE,
                **start,
            )
            if answer["Items"]:
                yield [key_of(item_from_wire(item)) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def read(self, table: str, keys: Sequence[Key]) -> Iterator[Item]:
        """Yield the items under these keys. An item that was published meanwhile is missing."""
        for key in keys:
            answer = own_client("dynamodb").get_item(TableName=table, Key=key.wire, ConsistentRead=True)
            if "Item" in answer:
                yield item_from_wire(answer["Item"])

    def delete(self, table: str, keys: Sequence[Key]) -> None:
        """Delete published items. A key that DynamoDB does not process is swept and published again."""
        requests: list[Wire] = [{"DeleteRequest": {"Key": key.wire}} for key in keys]
        own_client("dynamodb").batch_write_item(RequestItems={table: requests})

    def dead_letter(self, table: str, item: Item, *, reason: str) -> None:
        """Send an event that the bus refuses to the dead letters."""
        body = {"table": table, "reason": reason, "detail": json.loads(str(item["event"]))}
        own_client("sqs").send_message(QueueUrl=self.dead_letters_url, MessageBody=json.dumps(body))
