"""DynamoDB under contention: overlapping transactions are cancelled. The local engine does not simulate this.

Updates of one item wait for each other, and conflict only with transactions.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
"""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from shared.storage.items import Wire

ItemAddress = tuple[str, str, str]
"""Table, partition key and sort key."""


class ConflictingDynamoDB:
    """A client that cancels writes that overlap with a transaction in progress.

    Args:
        client: the client that executes the calls.
        hold_s: the seconds for which a transaction holds its items after its end, so that transactions overlap.
    """

    def __init__(self, client: Any, *, hold_s: float = 0.005) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._hold_s = hold_s
        self._lock = threading.Lock()
        self._in_progress: set[ItemAddress] = set()
        self.cancelled = 0

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Read without conflicts."""
        return self._client.get_item(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Read without conflicts."""
        return self._client.batch_get_item(**arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Read without conflicts."""
        return self._client.query(**arguments)

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Write without conflicts."""
        return self._client.batch_write_item(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Execute the transaction, or cancel it if another one is writing one of its items."""
        addresses = [_address(operation) for entry in arguments["TransactItems"] for operation in entry.values()]
        with self._claim(addresses) as conflicts:
            if conflicts:
                raise _cancelled(addresses, conflicts)
            return self._client.transact_write_items(**arguments)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Execute the update, or refuse it if a transaction is writing the item."""
        with self._lock:
            conflicts = _address(arguments) in self._in_progress
            self.cancelled += conflicts
        if conflicts:
            raise _error(code="TransactionConflictException", operation="UpdateItem")
        return self._client.update_item(**arguments)

    @contextmanager
    def _claim(self, addresses: Sequence[ItemAddress]) -> Generator[set[ItemAddress]]:
        with self._lock:
            conflicts = self._in_progress.intersection(addresses)
            if conflicts:
                self.cancelled += 1
            else:
                self._in_progress.update(addresses)
        try:
            yield conflicts
        finally:
            if not conflicts:
                time.sleep(self._hold_s)
                with self._lock:
                    self._in_progress.difference_update(addresses)


class SerializedClient:
    """A client that executes one operation at a time, because moto's tables are not thread-safe."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Return the operation, which waits for the lock."""
        call = getattr(self._client, operation)

        def locked(**arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
            with self._lock:
                return call(**arguments)

        return locked


def _address(operation: Wire) -> ItemAddress:
    key = operation.get("Key") or operation["Item"]
    return operation["TableName"], key["PK"]["S"], key["SK"]["S"]


def _cancelled(addresses: Sequence[ItemAddress], conflicts: set[ItemAddress]) -> ClientError:
    error = _error(code="TransactionCanceledException", operation="TransactWriteItems")
    reasons = [{"Code": "TransactionConflict" if address in conflicts else "None"} for address in addresses]
    error.response["CancellationReasons"] = reasons  # pyright: ignore[reportGeneralTypeIssues]  # botocore adds it too
    return error


def _error(*, code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)
