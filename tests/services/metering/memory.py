"""A table in memory that carries out this service's transactions and queries, quick enough for property tests."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError

from services.metering.table import SLICE
from shared.storage.items import Item, Value, item_from_wire, item_to_wire
from shared.storage.store import Store
from shared.storage.transaction import MAX_ACTIONS

LOST_ANSWER, LOST_REQUEST, FINE = "lost answer", "lost request", "fine"


class MemoryTable:
    """Does what DynamoDB does with these requests, and refuses what it would refuse.

    Args:
        faults: what happens to the transactions, one after the other; fine when there are no more.
    """

    def __init__(self, faults: Iterable[str] = ()) -> None:
        self.items: dict[tuple[str, str], dict[str, Value]] = {}
        self.transactions = 0
        self._faults = iter(faults)

    @property
    def store(self) -> Store:
        """The metering slice in this table."""
        return Store(self, table="usage", owned=SLICE, sleep=lambda _: None)

    def transact_write_items(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """All actions, or none."""
        fault = next(self._faults, FINE)
        if fault == LOST_REQUEST:
            raise ConnectTimeoutError(endpoint_url="memory")
        actions = [next(iter(entry.items())) for entry in arguments["TransactItems"]]
        keys = [_key(action.get("Key") or action["Item"]) for _, action in actions]
        assert len(set(keys)) == len(keys) <= MAX_ACTIONS
        reasons = [self._reason(key, action) for key, (_, action) in zip(keys, actions, strict=True)]
        if any(reason["Code"] != "None" for reason in reasons):
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(answer, "TransactWriteItems")
        for key, (operation, action) in zip(keys, actions, strict=True):
            self._carry_out(key, operation, action)
        self.transactions += 1
        if fault == LOST_ANSWER:
            raise ConnectTimeoutError(endpoint_url="memory")
        return {}

    def query(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """All items of a partition between two sort keys."""
        assert arguments["KeyConditionExpression"] == "#PK = :pk AND #SK BETWEEN :first AND :last"
        asked = item_from_wire(arguments["ExpressionAttributeValues"])
        found = [
            item_to_wire(item)
            for (pk, sk), item in sorted(self.items.items())
            if pk == asked[":pk"] and str(asked[":first"]) <= sk <= str(asked[":last"])
        ]
        return {"Items": found}

    def get_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """One item."""
        item = self.items.get(_key(arguments["Key"]))
        return {"Item": item_to_wire(item)} if item else {}

    def batch_get_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Not needed here."""
        raise NotImplementedError

    def update_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Not needed here."""
        raise NotImplementedError

    def batch_write_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Not needed here."""
        raise NotImplementedError

    def _reason(self, key: tuple[str, str], action: dict[str, Any]) -> dict[str, Any]:
        condition = action.get("ConditionExpression")
        there = self.items.get(key)
        if condition is None or there is None:
            return {"Code": "None"}
        name = re.fullmatch(r"attribute_not_exists\(#?(\w+)\)", condition)
        assert name
        if name[1] not in there:
            return {"Code": "None"}
        return {"Code": "ConditionalCheckFailed", "Item": item_to_wire(there)}

    def _carry_out(self, key: tuple[str, str], operation: str, action: dict[str, Any]) -> None:
        if operation == "Put":
            self.items[key] = item_from_wire(action["Item"])
            return
        assert operation == "Update"
        values = item_from_wire(action["ExpressionAttributeValues"])
        item = self.items.setdefault(key, {"PK": key[0], "SK": key[1]})
        text = str(action["UpdateExpression"])
        for name, value in re.findall(r"#(\w+) (:\w+)", text):
            item[name] = int(str(item.get(name, 0))) + int(str(values[value]))
        for name, value in re.findall(r"#(\w+) = (:\w+)", text):
            item[name] = values[value]

    def partitions(self, prefix: str) -> Iterator[Item]:
        """The items whose partition key begins so."""
        return (item for (pk, _), item in self.items.items() if pk.startswith(prefix))


def _key(wire: dict[str, Any]) -> tuple[str, str]:
    return wire["PK"]["S"], wire["SK"]["S"]
