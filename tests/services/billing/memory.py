"""A table in memory that carries out this service's requests, quick enough for property tests."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from services.billing.table import SLICE
from shared.storage.items import Item, Value, item_from_wire, item_to_wire
from shared.storage.store import Store

Place = tuple[str, str]
Holds = Callable[[Item, Mapping[str, Value]], bool]


class MemoryTable:
    """Does what DynamoDB does with these requests.

    Args:
        before_write: called before each write; may raise, as if the process died there.
    """

    def __init__(self, before_write: Callable[[], None] = lambda: None) -> None:
        self.items: dict[Place, dict[str, Value]] = {}
        self.before_write = before_write

    @property
    def store(self) -> Store:
        """The billing slice in this table."""
        return Store(self, table="tenants", owned=SLICE, sleep=lambda _: None)

    def get_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """One item."""
        item = self.items.get(_place(arguments["Key"]))
        return {"Item": item_to_wire(item)} if item else {}

    def batch_get_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Several items."""
        [(table, asked)] = arguments["RequestItems"].items()
        found = [self.items[place] for key in asked["Keys"] if (place := _place(key)) in self.items]
        return {"Responses": {table: [item_to_wire(item) for item in found]}}

    def query(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """The items under a key condition, of the table or of an index."""
        index = arguments.get("IndexName")
        order = f"{index}_sk" if index else "SK"
        values = item_from_wire(arguments["ExpressionAttributeValues"])
        holds = _condition(arguments["KeyConditionExpression"])
        found = [item for item in self.items.values() if order in item and holds(item, values)]
        found.sort(key=lambda item: str(item[order]))
        if start := arguments.get("ExclusiveStartKey"):
            found = [item for item in found if str(item[order]) > start[order]["S"]]
        page = found[: arguments.get("Limit")]
        last = {"LastEvaluatedKey": item_to_wire(page[-1])} if len(page) < len(found) else {}
        return {"Items": [item_to_wire(item) for item in page], **last}

    def update_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Change one item."""
        self.before_write()
        place = _place(arguments["Key"])
        if not _allowed(self.items.get(place), arguments):
            answer: Any = {"Error": {"Code": "ConditionalCheckFailedException"}}
            raise ClientError(answer, "UpdateItem")
        self._carry_out("Update", arguments)
        return {"Attributes": item_to_wire(self.items[place])}

    def batch_write_item(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """Delete several items."""
        self.before_write()
        [requests] = arguments["RequestItems"].values()
        for request in requests:
            self.items.pop(_place(request["DeleteRequest"]["Key"]), None)
        return {}

    def transact_write_items(self, **arguments: Any) -> object:  # noqa: ANN401 — any request
        """All actions, or none."""
        self.before_write()
        actions = [next(iter(entry.items())) for entry in arguments["TransactItems"]]
        reasons = [self._reason(action) for _, action in actions]
        if any(reason["Code"] != "None" for reason in reasons):
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(answer, "TransactWriteItems")
        for operation, action in actions:
            self._carry_out(operation, action)
        return {}

    def _reason(self, action: dict[str, Any]) -> dict[str, Any]:
        there = self.items.get(_place(action.get("Key") or action["Item"]))
        if _allowed(there, action):
            return {"Code": "None"}
        return {"Code": "ConditionalCheckFailed", **({"Item": item_to_wire(there)} if there else {})}

    def _carry_out(self, operation: str, action: dict[str, Any]) -> None:
        place = _place(action.get("Key") or action["Item"])
        if operation == "Put":
            self.items[place] = item_from_wire(action["Item"])
        elif operation == "Delete":
            self.items.pop(place, None)
        else:
            values = item_from_wire(action.get("ExpressionAttributeValues", {}))
            # A copy, so that a snapshot of the table keeps what it has.
            item = dict(self.items.get(place) or {"PK": place[0], "SK": place[1]})
            assert action["UpdateExpression"].startswith(("SET ", "REMOVE "))
            changes, _, removed = action["UpdateExpression"].partition("REMOVE ")
            for name, value in re.findall(r"#(\w+) = (:\w+)", changes):
                item[name] = values[value]
            for name in re.findall(r"#(\w+)", removed):
                item.pop(name, None)
            self.items[place] = item

    def events(self) -> list[str]:
        """The ids of the events that wait in the outboxes."""
        return [sk.removeprefix("OUTBOX#") for (pk, sk) in self.items if pk.endswith("#OUTBOX")]


def _place(wire: dict[str, Any]) -> Place:
    return wire["PK"]["S"], wire["SK"]["S"]


def _allowed(there: Item | None, action: dict[str, Any]) -> bool:
    text = action.get("ConditionExpression")
    if text is None:
        return True
    return _condition(text)(there or {}, item_from_wire(action.get("ExpressionAttributeValues", {})))


@cache
def _condition(text: str) -> Holds:
    """The predicate of an expression: alternatives of conjunctions of simple tests."""
    ors = [[_test(part) for part in _conjuncts(alternative)] for alternative in text.split(" OR ")]
    return lambda item, values: any(all(test(item, values) for test in tests) for tests in ors)


def _conjuncts(text: str) -> list[str]:
    return re.split(r"(?<!\w BETWEEN :first) AND ", re.sub(r"BETWEEN (:\w+) AND (:\w+)", r"BETWEEN \1,\2", text))


def _test(text: str) -> Holds:
    if found := re.fullmatch(r"attribute_(not_)?exists\(#?(\w+)\)", text):
        absent, name = bool(found[1]), found[2]
        return lambda item, _: (name not in item) is absent
    if found := re.fullmatch(r"#(\w+) = (:\w+)", text):
        name, value = found[1], found[2]
        return lambda item, values: name in item and item[name] == values[value]
    if found := re.fullmatch(r"#(\w+) <= (:\w+)", text):
        name, value = found[1], found[2]
        return lambda item, values: str(item[name]) <= str(values[value])
    found = re.fullmatch(r"#(\w+) BETWEEN (:\w+),(:\w+)", text)
    assert found, text
    name, first, last = found[1], found[2], found[3]
    return lambda item, values: str(values[first]) <= str(item[name]) <= str(values[last])
