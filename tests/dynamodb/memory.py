"""A table in memory with the keys and indexes of the product's tables; quick enough for a million events.

What it is held to, together with the local engine, is in `test_conformance.py`.
"""

import json
import re
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from shared.storage.items import Value, item_from_wire
from tests.dynamodb.expressions import BadExpression, WireItem, condition, update

_MOST_ACTIONS = 100
_MOST_BYTES = 400 * 1024
"""Of an item."""
_PAGE_BYTES = 1024 * 1024
_KEY_BYTES = (2_048, 1_024)
"""Of a partition key and of a sort key."""
_KEYS = {None: ("PK", "SK"), "list": ("list_pk", "list_sk"), "due": ("due_pk", "due_sk")}

Place = tuple[str, str]


class _Order:
    """The items of one partition, of the table or of an index, in order."""

    def __init__(self) -> None:
        self._sorted: list[tuple[str, Place]] = []

    def add(self, sort: str, place: Place) -> None:
        at = bisect_left(self._sorted, (sort, place))
        if self._sorted[at : at + 1] != [(sort, place)]:
            self._sorted.insert(at, (sort, place))

    def discard(self, sort: str, place: Place) -> None:
        at = bisect_left(self._sorted, (sort, place))
        if self._sorted[at : at + 1] == [(sort, place)]:
            del self._sorted[at]

    def walk(self, after: tuple[str, Place] | None, *, newest_first: bool) -> Iterator[tuple[str, Place]]:
        """Yield what follows a place, or all of it."""
        if newest_first:
            first = len(self._sorted) if after is None else bisect_left(self._sorted, after)
            return (self._sorted[at] for at in range(first - 1, -1, -1))
        first = 0 if after is None else bisect_right(self._sorted, after)
        return (self._sorted[at] for at in range(first, len(self._sorted)))


class MemoryDynamoDB:
    """Does what DynamoDB does with the requests of `Store`, and refuses what it would refuse."""

    def __init__(self) -> None:
        self._items: dict[Place, str] = {}
        self._orders: dict[tuple[str | None, str], _Order] = {}
        self._done: set[str] = set()
        self._lock = threading.RLock()
        self.calls = 0
        self.bytes_read = 0
        self.transactions = 0
        """Those that were carried out."""

    def items(self, prefix: str = "") -> Iterator[dict[str, Value]]:
        """The items whose partition key begins so."""
        return (item_from_wire(json.loads(text)) for (pk, _), text in self._items.items() if pk.startswith(prefix))

    def texts(self) -> list[str]:
        """All items as they come over the wire."""
        return list(self._items.values())

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """One item."""
        with self._lock:
            self.calls += 1
            found = _projected(self._read(_place(arguments["Key"])), arguments)
        return {"Item": found} if found else {}

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Several items."""
        [(table, request)] = arguments["RequestItems"].items()
        places = [_place(key) for key in request["Keys"]]
        if len(set(places)) != len(places) or len(places) > _MOST_ACTIONS:
            raise _error(code="ValidationException", operation="BatchGetItem")
        with self._lock:
            self.calls += 1
            found = [item for place in places if (item := _projected(self._read(place), request))]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Change one item, if its condition holds."""
        place = _place(arguments["Key"])
        with self._lock:
            self.calls += 1
            there = self._peek(place)
            if not _holds(arguments, there or {}):
                raise _refused(arguments, there)
            after = _updated(arguments, there)
            self._write(place, after)
        return _returned(arguments, after)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """All actions, or none."""
        actions = [next(iter(entry.items())) for entry in arguments["TransactItems"]]
        places = [_place(action.get("Key") or action["Item"]) for _, action in actions]
        if len(set(places)) != len(places) or not 0 < len(places) <= _MOST_ACTIONS:
            raise _error(code="ValidationException", operation="TransactWriteItems")
        with self._lock:
            self.calls += 1
            token = arguments.get("ClientRequestToken")
            if token in self._done:
                return {}
            there = [self._peek(place) for place in places]
            pairs = list(zip(actions, there, strict=True))
            reasons = [_reason(action, item) for (_, action), item in pairs]
            if any(reason["Code"] != "None" for reason in reasons):
                raise cancelled(reasons)
            images = [_image(operation, action, item) for (operation, action), item in pairs]
            for place, image in zip(places, images, strict=True):
                self._write(place, image)
            self.transactions += 1
            if token:
                self._done.add(token)
        return {}

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Delete several items."""
        [requests] = arguments["RequestItems"].values()
        with self._lock:
            self.calls += 1
            for request in requests:
                self._write(_place(request["DeleteRequest"]["Key"]), None)
        return {"UnprocessedItems": {}}

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A page of one partition."""
        index = arguments.get("IndexName")
        if index and arguments.get("ConsistentRead"):
            raise _error(code="ValidationException", operation="Query")
        text = _named(arguments["KeyConditionExpression"], arguments)
        values = arguments["ExpressionAttributeValues"]
        pk_name, sk_name = _KEYS[index]
        found = re.match(rf"{pk_name} = (:\w+)", text)
        if not found or _is_turned_around(text, values):
            raise _error(code="ValidationException", operation="Query")
        with self._lock:
            self.calls += 1
            order = self._orders.get((index, values[found[1]]["S"]), _Order())
            test, newest_first = condition(text), not arguments.get("ScanIndexForward", True)
            start = arguments.get("ExclusiveStartKey")
            if start and not test(start, values):
                raise _error(code="ValidationException", operation="Query")
            after = (start[sk_name]["S"], _place(start)) if start else None
            candidates = (
                (sort, place)
                for sort, place in order.walk(after, newest_first=newest_first)
                if test({pk_name: values[found[1]], sk_name: {"S": sort}}, values)
            )
            return self._page(candidates, arguments, index=index)

    def _page(
        self,
        candidates: Iterator[tuple[str, Place]],
        arguments: dict[str, Any],
        *,
        index: str | None,
    ) -> dict[str, Any]:
        pk_name, sk_name = _KEYS[index]
        found: list[WireItem] = []
        size = 0
        for one in candidates:
            if len(found) == arguments.get("Limit") or size > _PAGE_BYTES:
                last = {name: found[-1][name] for name in {"PK", "SK", pk_name, sk_name}}
                return {"Items": [_shown(item, index) for item in found], "LastEvaluatedKey": last}
            item = self._read(one[1])
            assert item
            size += len(self._items[one[1]].encode())
            found.append(item)
        return {"Items": [_shown(item, index) for item in found]}

    def _peek(self, place: Place) -> WireItem | None:
        text = self._items.get(place)
        return json.loads(text) if text else None

    def _read(self, place: Place) -> WireItem | None:
        self.bytes_read += len(self._items.get(place, ""))
        return self._peek(place)

    def _write(self, place: Place, item: WireItem | None) -> None:
        before = self._peek(place)
        for index, (pk_name, sk_name) in _KEYS.items():
            for image, change in ((before, _Order.discard), (item, _Order.add)):
                if image and pk_name in image and sk_name in image:
                    key = (index, image[pk_name]["S"])
                    change(self._orders.setdefault(key, _Order()), image[sk_name]["S"], place)
        if item is None:
            self._items.pop(place, None)
        else:
            self._items[place] = _text(item)


def _text(item: WireItem) -> str:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False)


def _image(operation: str, action: dict[str, Any], there: WireItem | None) -> WireItem | None:
    """The item as this action leaves it; None: there is none."""
    match operation:
        case "Put":
            return _not_too_large(action["Item"])
        case "Update":
            return _updated(action, there)
        case "Delete":
            return None
        case _:
            assert operation == "ConditionCheck"
            return there


def _projected(item: WireItem | None, arguments: Mapping[str, Any]) -> WireItem | None:
    """The attributes that are asked for; names of whole attributes alone are understood."""
    expression = arguments.get("ProjectionExpression")
    if item is None or expression is None:
        return item
    names = {name.strip() for name in _named(expression, arguments).split(",")}
    return {name: value for name, value in item.items() if name in names}


def _returned(arguments: Mapping[str, Any], after: WireItem) -> dict[str, Any]:
    """What an update returns; of changed attributes the local engine returns the whole, too."""
    match arguments.get("ReturnValues"):
        case "ALL_NEW":
            return {"Attributes": after}
        case "UPDATED_NEW":
            changed = set(re.findall(r"[\w#]+", _named(arguments["UpdateExpression"], arguments)))
            return {"Attributes": {name: value for name, value in after.items() if name in changed}}
        case _:
            return {}


def _not_too_large(item: WireItem) -> WireItem:
    # Names, braces and kinds are in the text as well, and are not worth an exact account.
    if len(_text(item).encode()) > _MOST_BYTES:
        raise _error(code="ValidationException", operation="PutItem")
    return item


def cancelled(reasons: list[dict[str, Any]]) -> ClientError:
    """The answer to a transaction that was cancelled for these reasons, one for each action."""
    error = _error(code="TransactionCanceledException", operation="TransactWriteItems")
    error.response["CancellationReasons"] = reasons  # pyright: ignore[reportGeneralTypeIssues]  # botocore adds it too
    return error


def _error(*, code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


def _refused(arguments: Mapping[str, Any], there: WireItem | None) -> ClientError:
    """The answer to an update whose condition failed."""
    error = _error(code="ConditionalCheckFailedException", operation="UpdateItem")
    if there and arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
        error.response["Item"] = there  # pyright: ignore[reportGeneralTypeIssues]  # botocore adds it too
    return error


def _place(wire: Mapping[str, Any]) -> Place:
    place: Place = wire["PK"]["S"], wire["SK"]["S"]
    if any(not 0 < len(part.encode()) <= most for part, most in zip(place, _KEY_BYTES, strict=True)):
        raise _error(code="ValidationException", operation="Key")
    return place


def _is_turned_around(text: str, values: Mapping[str, Any]) -> bool:
    """Whether the upper bound of a BETWEEN is below the lower one."""
    bounds = re.search(r"BETWEEN (:\w+) AND (:\w+)", text)
    return bool(bounds) and values[bounds[2]]["S"] < values[bounds[1]]["S"]


def _named(text: str, arguments: Mapping[str, Any]) -> str:
    """The expression with the attributes that its names stand for."""
    names: Mapping[str, str] = arguments.get("ExpressionAttributeNames", {})
    return re.sub(r"#\w+", lambda found: names[found[0]], text) if names else text


def _holds(arguments: Mapping[str, Any], item: WireItem) -> bool:
    text = arguments.get("ConditionExpression")
    return text is None or condition(_named(text, arguments))(item, arguments.get("ExpressionAttributeValues", {}))


def _reason(action: Mapping[str, Any], there: WireItem | None) -> dict[str, Any]:
    if _holds(action, there or {}):
        return {"Code": "None"}
    shown = there and action.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return {"Code": "ConditionalCheckFailed", **({"Item": there} if shown else {})}


def _updated(action: Mapping[str, Any], there: WireItem | None) -> WireItem:
    item = dict(there or action["Key"])
    try:
        update(_named(action["UpdateExpression"], action))(item, action.get("ExpressionAttributeValues", {}))
    except BadExpression as error:
        raise _error(code="ValidationException", operation="UpdateItem") from error
    return _not_too_large(item)


def _shown(item: WireItem, index: str | None) -> WireItem:
    """The indexes hold keys only."""
    if index is None:
        return item
    return {name: item[name] for name in ("PK", "SK", *_KEYS[index])}
