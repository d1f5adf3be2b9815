"""DynamoDB as it is under contention: overlapping transactions are cancelled. The local engine never does that.

Single updates of one item wait for each other, and conflict with transactions alone.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
"""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from shared.storage.items import Wire

Place = tuple[str, str, str]
"""Table, partition key and sort key."""


class ConflictingDynamoDB:
    """A client that cancels what overlaps with something that is under way.

    Args:
        client: does the work.
        hold_s: how long an operation keeps its items after it is done, so that overlaps really happen.
    """

    def __init__(self, client: Any, *, hold_s: float = 0.005) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._hold_s = hold_s
        self._lock = threading.Lock()
        self._under_way: set[Place] = set()
        self.cancelled = 0

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Reads never conflict."""
        return self._client.get_item(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Reads never conflict."""
        return self._client.batch_get_item(**arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Reads never conflict."""
        return self._client.query(**arguments)

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Not a part of any change that is tested here."""
        return self._client.batch_write_item(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Carry it out, or cancel it because of the items that somebody else is writing."""
        places = [_place(operation) for entry in arguments["TransactItems"] for operation in entry.values()]
        with self._claim(places) as taken:
            if taken:
                raise _cancelled(places, taken)
            return self._client.transact_write_items(**arguments)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Carry it out, or refuse it because a transaction is writing the item."""
        with self._lock:
            taken = _place(arguments) in self._under_way
            self.cancelled += taken
        if taken:
            raise _error(code="TransactionConflictException", operation="UpdateItem")
        return self._client.update_item(**arguments)

    @contextmanager
    def _claim(self, places: Sequence[Place]) -> Generator[set[Place]]:
        with self._lock:
            taken = self._under_way.intersection(places)
            if taken:
                self.cancelled += 1
            else:
                self._under_way.update(places)
        try:
            yield taken
        finally:
            if not taken:
                time.sleep(self._hold_s)
                with self._lock:
                    self._under_way.difference_update(places)


class OneAtATime:
    """A client whose operations wait for each other: moto's tables are not made for several threads."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """The operation, alone."""
        call = getattr(self._client, operation)

        def alone(**arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
            with self._lock:
                return call(**arguments)

        return alone


def _place(operation: Wire) -> Place:
    key = operation.get("Key") or operation["Item"]
    return operation["TableName"], key["PK"]["S"], key["SK"]["S"]


def _cancelled(places: Sequence[Place], taken: set[Place]) -> ClientError:
    error = _error(code="TransactionCanceledException", operation="TransactWriteItems")
    reasons = [{"Code": "TransactionConflict" if place in taken else "None"} for place in places]
    error.response["CancellationReasons"] = reasons  # pyright: ignore[reportGeneralTypeIssues]  # botocore adds it too
    return error


def _error(*, code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)
