"""A table in memory with the keys and indexes of the product's tables, fast enough for a million events.

`test_conformance.py` verifies that it behaves as the local engine does.
"""

import json
import re
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from shared.storage.items import Value, item_from_wire
from tests.dynamodb.expressions import InvalidExpression, WireItem, condition, update

_MAX_ACTIONS = 100
_MAX_ITEM_BYTES = 400 * 1024
"""The maximum size of an item."""
_PAGE_BYTES = 1024 * 1024
_MAX_KEY_BYTES = (2_048, 1_024)
"""The maximum sizes of a partition key and of a sort key."""
_KEYS = {None: ("PK", "SK"), "list": ("list_pk", "list_sk"), "due": ("due_pk", "due_sk")}

PrimaryKey = tuple[str, str]


class _SortedKeys:
    """The sorted keys of the items in a partition of the table or of an index."""

    def __init__(self) -> None:
        self._sorted: list[tuple[str, PrimaryKey]] = []

    def add(self, sort: str, primary_key: PrimaryKey) -> None:
        index = bisect_left(self._sorted, (sort, primary_key))
        if self._sorted[index : index + 1] != [(sort, primary_key)]:
            self._sorted.insert(index, (sort, primary_key))

    def discard(self, sort: str, primary_key: PrimaryKey) -> None:
        index = bisect_left(self._sorted, (sort, primary_key))
        if self._sorted[index : index + 1] == [(sort, primary_key)]:
            del self._sorted[index]

    def entries(self, after: tuple[str, PrimaryKey] | None, *, newest_first: bool) -> Iterator[tuple[str, PrimaryKey]]:
        """Yield the entries after a position, or all entries."""
        if newest_first:
            first = len(self._sorted) if after is None else bisect_left(self._sorted, after)
            return (self._sorted[index] for index in range(first - 1, -1, -1))
        first = 0 if after is None else bisect_right(self._sorted, after)
        return (self._sorted[index] for index in range(first, len(self._sorted)))


class MemoryDynamoDB:
    """A client that behaves as DynamoDB does for the requests of `Store`, including its errors."""

    def __init__(self) -> None:
        self._items: dict[PrimaryKey, str] = {}
        self._sorted_keys: dict[tuple[str | None, str], _SortedKeys] = {}
        self._committed_tokens: set[str] = set()
        self._lock = threading.RLock()
        self.calls = 0
        self.bytes_read = 0
        self.transactions = 0
        """The number of successful transactions."""

    def items(self, prefix: str = "") -> Iterator[dict[str, Value]]:
        """Yield the items whose partition key has this prefix."""
        return (item_from_wire(json.loads(text)) for (pk, _), text in self._items.items() if pk.startswith(prefix))

    def texts(self) -> list[str]:
        """Return all items in the wire format."""
        return list(self._items.values())

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Get one item."""
        with self._lock:
            self.calls += 1
            found = _projected(self._read(_primary_key(arguments["Key"])), arguments)
        return {"Item": found} if found else {}

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Get several items."""
        [(table, request)] = arguments["RequestItems"].items()
        primary_keys = [_primary_key(key) for key in request["Keys"]]
        if len(set(primary_keys)) != len(primary_keys) or len(primary_keys) > _MAX_ACTIONS:
            raise _error(code="ValidationException", operation="BatchGetItem")
        with self._lock:
            self.calls += 1
            found = [item for primary_key in primary_keys if (item := _projected(self._read(primary_key), request))]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Update one item if its condition is true."""
        primary_key = _primary_key(arguments["Key"])
        with self._lock:
            self.calls += 1
            existing = self._peek(primary_key)
            if not _condition_holds(arguments, existing or {}):
                raise _condition_failed(arguments, existing)
            after = _updated(arguments, existing)
            self._write(primary_key, after)
        return _returned(arguments, after)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Execute all actions or none."""
        actions = [next(iter(entry.items())) for entry in arguments["TransactItems"]]
        primary_keys = [_primary_key(action.get("Key") or action["Item"]) for _, action in actions]
        if len(set(primary_keys)) != len(primary_keys) or not 0 < len(primary_keys) <= _MAX_ACTIONS:
            raise _error(code="ValidationException", operation="TransactWriteItems")
        with self._lock:
            self.calls += 1
            token = arguments.get("ClientRequestToken")
            if token in self._committed_tokens:
                return {}
            existing = [self._peek(primary_key) for primary_key in primary_keys]
            pairs = list(zip(actions, existing, strict=True))
            reasons = [_reason(action, item) for (_, action), item in pairs]
            if any(reason["Code"] != "None" for reason in reasons):
                raise cancelled(reasons)
            images = [_image(operation, action, item) for (operation, action), item in pairs]
            for primary_key, image in zip(primary_keys, images, strict=True):
                self._write(primary_key, image)
            self.transactions += 1
            if token:
                self._committed_tokens.add(token)
        return {}

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Delete several items."""
        [requests] = arguments["RequestItems"].values()
        with self._lock:
            self.calls += 1
            for request in requests:
                self._write(_primary_key(request["DeleteRequest"]["Key"]), None)
        return {"UnprocessedItems": {}}

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Return a page of one partition."""
        index = arguments.get("IndexName")
        if index and arguments.get("ConsistentRead"):
            raise _error(code="ValidationException", operation="Query")
        text = _expand_names(arguments["KeyConditionExpression"], arguments)
        values = arguments["ExpressionAttributeValues"]
        pk_name, sk_name = _KEYS[index]
        found = re.match(rf"{pk_name} = (:\w+)", text)
        if not found or _has_reversed_bounds(text, values):
            raise _error(code="ValidationException", operation="Query")
        with self._lock:
            self.calls += 1
            sorted_keys = self._sorted_keys.get((index, values[found[1]]["S"]), _SortedKeys())
            test, newest_first = condition(text), not arguments.get("ScanIndexForward", True)
            start = arguments.get("ExclusiveStartKey")
            if start and not test(start, values):
                raise _error(code="ValidationException", operation="Query")
            after = (start[sk_name]["S"], _primary_key(start)) if start else None
            candidates = (
                (sort, primary_key)
                for sort, primary_key in sorted_keys.entries(after, newest_first=newest_first)
                if test({pk_name: values[found[1]], sk_name: {"S": sort}}, values)
            )
            return self._page(candidates, arguments, index=index)

    def _page(
        self,
        candidates: Iterator[tuple[str, PrimaryKey]],
        arguments: dict[str, Any],
        *,
        index: str | None,
    ) -> dict[str, Any]:
        pk_name, sk_name = _KEYS[index]
        found: list[WireItem] = []
        size = 0
        for candidate in candidates:
            if len(found) == arguments.get("Limit") or size > _PAGE_BYTES:
                last = {name: found[-1][name] for name in {"PK", "SK", pk_name, sk_name}}
                return {"Items": [_index_image(item, index) for item in found], "LastEvaluatedKey": last}
            item = self._read(candidate[1])
            assert item
            size += len(self._items[candidate[1]].encode())
            found.append(item)
        return {"Items": [_index_image(item, index) for item in found]}

    def _peek(self, primary_key: PrimaryKey) -> WireItem | None:
        text = self._items.get(primary_key)
        return json.loads(text) if text else None

    def _read(self, primary_key: PrimaryKey) -> WireItem | None:
        self.bytes_read += len(self._items.get(primary_key, ""))
        return self._peek(primary_key)

    def _write(self, primary_key: PrimaryKey, item: WireItem | None) -> None:
        before = self._peek(primary_key)
        for index, (pk_name, sk_name) in _KEYS.items():
            for image, change in ((before, _SortedKeys.discard), (item, _SortedKeys.add)):
                if image and pk_name in image and sk_name in image:
                    key = (index, image[pk_name]["S"])
                    change(self._sorted_keys.setdefault(key, _SortedKeys()), image[sk_name]["S"], primary_key)
        if item is None:
            self._items.pop(primary_key, None)
        else:
            self._items[primary_key] = _text(item)


def _text(item: WireItem) -> str:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False)


def _image(operation: str, action: dict[str, Any], existing: WireItem | None) -> WireItem | None:
    """Return the item after an action, or None if it does not exist then."""
    match operation:
        case "Put":
            return _checked_size(action["Item"])
        case "Update":
            return _updated(action, existing)
        case "Delete":
            return None
        case _:
            assert operation == "ConditionCheck"
            return existing


def _projected(item: WireItem | None, arguments: Mapping[str, Any]) -> WireItem | None:
    """Return the requested attributes. Only names of whole attributes are supported."""
    expression = arguments.get("ProjectionExpression")
    if item is None or expression is None:
        return item
    names = {name.strip() for name in _expand_names(expression, arguments).split(",")}
    return {name: value for name, value in item.items() if name in names}


def _returned(arguments: Mapping[str, Any], after: WireItem) -> dict[str, Any]:
    """Return the response of an update. Like the local engine, it has changed attributes as a whole."""
    match arguments.get("ReturnValues"):
        case "ALL_NEW":
            return {"Attributes": after}
        case "UPDATED_NEW":
            changed = set(re.findall(r"[\w#]+", _expand_names(arguments["UpdateExpression"], arguments)))
            return {"Attributes": {name: value for name, value in after.items() if name in changed}}
        case _:
            return {}


def _checked_size(item: WireItem) -> WireItem:
    # The text also contains names, braces and types. An exact size is not needed.
    if len(_text(item).encode()) > _MAX_ITEM_BYTES:
        raise _error(code="ValidationException", operation="PutItem")
    return item


def cancelled(reasons: list[dict[str, Any]]) -> ClientError:
    """Return the error of a transaction that was cancelled for these reasons, one for each action."""
    error = _error(code="TransactionCanceledException", operation="TransactWriteItems")
    error.response["CancellationReasons"] = reasons  # pyright: ignore[reportGeneralTypeIssues]  # botocore adds it too
    return error


def _error(*, code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


def _condition_failed(arguments: Mapping[str, Any], existing: WireItem | None) -> ClientError:
    """Return the error of an update whose condition failed."""
    error = _error(code="ConditionalCheckFailedException", operation="UpdateItem")
    if existing and arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
        error.response["Item"] = existing  # pyright: ignore[reportGeneralTypeIssues]  # botocore adds it too
    return error


def _primary_key(wire: Mapping[str, Any]) -> PrimaryKey:
    primary_key: PrimaryKey = wire["PK"]["S"], wire["SK"]["S"]
    if any(
        not 0 < len(part.encode()) <= max_bytes for part, max_bytes in zip(primary_key, _MAX_KEY_BYTES, strict=True)
    ):
        raise _error(code="ValidationException", operation="Key")
    return primary_key


def _has_reversed_bounds(text: str, values: Mapping[str, Any]) -> bool:
    """Return whether the upper bound of a BETWEEN is below the lower one."""
    bounds = re.search(r"BETWEEN (:\w+) AND (:\w+)", text)
    return bool(bounds) and values[bounds[2]]["S"] < values[bounds[1]]["S"]


def _expand_names(text: str, arguments: Mapping[str, Any]) -> str:
    """Return the expression with its name placeholders replaced by attribute names."""
    names: Mapping[str, str] = arguments.get("ExpressionAttributeNames", {})
    return re.sub(r"#\w+", lambda found: names[found[0]], text) if names else text


def _condition_holds(arguments: Mapping[str, Any], item: WireItem) -> bool:
    text = arguments.get("ConditionExpression")
    return text is None or condition(_expand_names(text, arguments))(
        item, arguments.get("ExpressionAttributeValues", {})
    )


def _reason(action: Mapping[str, Any], existing: WireItem | None) -> dict[str, Any]:
    if _condition_holds(action, existing or {}):
        return {"Code": "None"}
    returns_item = existing and action.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return {"Code": "ConditionalCheckFailed", **({"Item": existing} if returns_item else {})}


def _updated(action: Mapping[str, Any], existing: WireItem | None) -> WireItem:
    item = dict(existing or action["Key"])
    try:
        update(_expand_names(action["UpdateExpression"], action))(item, action.get("ExpressionAttributeValues", {}))
    except InvalidExpression as error:
        raise _error(code="ValidationException", operation="UpdateItem") from error
    return _checked_size(item)


def _index_image(item: WireItem, index: str | None) -> WireItem:
    """Return the item as in the table or index. The indexes contain keys only."""
    if index is None:
        return item
    return {name: item[name] for name in ("PK", "SK", *_KEYS[index])}
