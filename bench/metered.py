"""An in-memory table that counts the capacity units for which DynamoDB charges.

A write takes one unit per KB of the item, two in a transaction, and one more for each index entry that is added or
removed. A read takes one unit per 4 KB of an item, or of a query.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

from collections import Counter
from typing import Any, cast

from tests.dynamodb.memory import MemoryDynamoDB, PrimaryKey

_INDEXES = (("list_pk", "list_sk"), ("due_pk", "due_sk"))
_IN_TRANSACTION = 2


class MeteredDynamoDB(MemoryDynamoDB):
    """An in-memory DynamoDB that counts calls and capacity units."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_of: Counter[str] = Counter()
        self.write_units = 0
        self.read_units = 0
        self._each = 1

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — the signature of botocore
        """Count a transaction."""
        self.calls_of["TransactWriteItems"] += 1
        self._each = _IN_TRANSACTION
        try:
            return super().transact_write_items(**arguments)
        except Exception:
            # DynamoDB also charges for refused transactions.
            self.write_units += _IN_TRANSACTION * len(arguments["TransactItems"])
            raise
        finally:
            self._each = 1

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — the signature of botocore
        """Count an update."""
        self.calls_of["UpdateItem"] += 1
        try:
            return super().update_item(**arguments)
        except Exception:
            self.write_units += 1
            raise

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — the signature of botocore
        """Count a read of one item."""
        return self._reading("GetItem", super().get_item(**arguments))

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — the signature of botocore
        """Count a read of several items, each of which is rounded up by itself."""
        response = super().batch_get_item(**arguments)
        self.calls_of["BatchGetItem"] += 1
        for items in response["Responses"].values():
            self.read_units += sum(_units(_size(item), 4096) for item in items)
        return response

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — the signature of botocore
        """Count a query."""
        return self._reading("Query", super().query(**arguments))

    def _reading(self, operation: str, response: Any) -> Any:  # noqa: ANN401 — the signature of botocore
        self.calls_of[operation] += 1
        found = response.get("Items") or [response.get("Item", {})]
        self.read_units += _units(sum(_size(item) for item in found), 4096)
        return response

    def _write(self, primary_key: PrimaryKey, item: dict[str, Any] | None) -> None:
        before = self._peek(primary_key)
        size = max(_size(before or {}), _size(item or {}))
        self.write_units += self._each * _units(size, 1024) + _entries_changed(before or {}, item or {})
        super()._write(primary_key, item)


def _entries_changed(before: dict[str, Any], after: dict[str, Any]) -> int:
    changed = 0
    for names in _INDEXES:
        old, new = ([image.get(name) for name in names] for image in (before, after))
        if old != new:
            changed += (None not in old) + (None not in new)
    return changed


def _units(size: int, each: int) -> int:
    return max(1, -(-size // each))


def _size(value: object) -> int:
    """Return the size of an item, or of a value in it, in bytes."""
    if isinstance(value, dict):
        return sum(_size(name) + _size(one) for name, one in cast("dict[str, object]", value).items())
    if isinstance(value, list):
        return sum(map(_size, cast("list[object]", value)))
    return len(value.encode()) if isinstance(value, str) else 1
