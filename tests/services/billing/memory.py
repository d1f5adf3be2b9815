"""A table in memory that executes this service's requests, fast enough for property tests."""

from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from services.billing.partitions import SLICE
from shared.storage.items import Item, Value, item_from_wire, item_to_wire
from shared.storage.store import Store
from tests.dynamodb.expressions import condition, update

ItemKey = tuple[str, str]
_KEYS = ("PK", "SK", "due_pk", "due_sk")


class MemoryTable:
    """An implementation of the DynamoDB requests that billing makes.

    Args:
        before_write: called before each write; may raise, as if the process died there.
    """

    def __init__(self, before_write: Callable[[], None] = lambda: None) -> None:
        self.items: dict[ItemKey, dict[str, Value]] = {}
        self.before_write = before_write

    @property
    def store(self) -> Store:
        """Return the billing slice in this table."""
        return Store(self, table="tenants", owned=SLICE, sleep=lambda _: None)

    def get_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Get one item."""
        item = self.items.get(_item_key(arguments["Key"]))
        return {"Item": item_to_wire(item)} if item else {}

    def batch_get_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Get several items."""
        [(table, requested)] = arguments["RequestItems"].items()
        found = [self.items[item_key] for key in requested["Keys"] if (item_key := _item_key(key)) in self.items]
        return {"Responses": {table: [item_to_wire(item) for item in found]}}

    def query(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Query the table or an index by a key condition."""
        index = arguments.get("IndexName")
        order = f"{index}_sk" if index else "SK"
        values = arguments["ExpressionAttributeValues"]
        holds = condition(_with_names(arguments["KeyConditionExpression"]))
        found = [item for item in self.items.values() if order in item and holds(_keys_of(item), values)]
        found.sort(key=lambda item: str(item[order]))
        if start := arguments.get("ExclusiveStartKey"):
            found = [item for item in found if str(item[order]) > start[order]["S"]]
        page = found[: arguments.get("Limit")]
        last = {"LastEvaluatedKey": item_to_wire(page[-1])} if len(page) < len(found) else {}
        return {"Items": [item_to_wire(item) for item in page], **last}

    def update_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Update one item."""
        self.before_write()
        item_key = _item_key(arguments["Key"])
        if not _allowed(self.items.get(item_key), arguments):
            response: Any = {"Error": {"Code": "ConditionalCheckFailedException"}}
            raise ClientError(response, "UpdateItem")
        self._carry_out("Update", arguments)
        return {"Attributes": item_to_wire(self.items[item_key])}

    def batch_write_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Delete several items."""
        self.before_write()
        [requests] = arguments["RequestItems"].values()
        for request in requests:
            self.items.pop(_item_key(request["DeleteRequest"]["Key"]), None)
        return {}

    def transact_write_items(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Execute all actions, or none."""
        self.before_write()
        actions = [next(iter(entry.items())) for entry in arguments["TransactItems"]]
        reasons = [self._reason(action) for _, action in actions]
        if any(reason["Code"] != "None" for reason in reasons):
            response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(response, "TransactWriteItems")
        for operation, action in actions:
            self._carry_out(operation, action)
        return {}

    def _reason(self, action: dict[str, Any]) -> dict[str, Any]:
        existing = self.items.get(_item_key(action.get("Key") or action["Item"]))
        if _allowed(existing, action):
            return {"Code": "None"}
        return {"Code": "ConditionalCheckFailed", **({"Item": item_to_wire(existing)} if existing else {})}

    def _carry_out(self, operation: str, action: dict[str, Any]) -> None:
        item_key = _item_key(action.get("Key") or action["Item"])
        if operation == "Put":
            self.items[item_key] = item_from_wire(action["Item"])
        elif operation == "Delete":
            self.items.pop(item_key, None)
        else:
            item = item_to_wire(self.items.get(item_key) or {"PK": item_key[0], "SK": item_key[1]})
            change = update(_with_names(action["UpdateExpression"]))
            change(item, action.get("ExpressionAttributeValues", {}))
            self.items[item_key] = item_from_wire(item)

    def events(self) -> list[str]:
        """Return the ids of the events in the outboxes."""
        return [sk.removeprefix("OUTBOX#") for (pk, sk) in self.items if pk.endswith("#OUTBOX")]


def _item_key(wire: dict[str, Any]) -> ItemKey:
    return wire["PK"]["S"], wire["SK"]["S"]


def _allowed(existing: Item | None, action: dict[str, Any]) -> bool:
    text = action.get("ConditionExpression")
    if text is None:
        return True
    return condition(_with_names(text))(item_to_wire(existing or {}), action.get("ExpressionAttributeValues", {}))


def _keys_of(item: Item) -> dict[str, Any]:
    return {name: {"S": item[name]} for name in _KEYS if name in item}


@cache
def _with_names(text: str) -> str:
    """Return an expression with the names of attributes, which are those of their placeholders."""
    return text.replace("#", "")
