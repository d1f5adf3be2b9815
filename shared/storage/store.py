"""A service's slice of its table: reads, single updates, and transactions with their events."""

import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from shared.audit import audit_record
from shared.aws.errors import code_of, is_passing
from shared.deadline import bounded_s
from shared.declaration import Slice
from shared.errors import DependencyUnavailable
from shared.randomness import RANDOM
from shared.storage import prefetch
from shared.storage.items import Item, Key, Value, Wire, item_from_wire, item_to_wire
from shared.storage.outbox import outbox_item
from shared.storage.transaction import Action, Expression, Transaction, arguments_of

_FIRST_DELAY_S, _MAX_DELAY_S, _MAX_WAIT_S = 0.025, 1.0, 5.0
_CONDITION_FAILED = "ConditionalCheckFailed"
"""The code in the reasons of a cancelled transaction."""
_CONDITION_FAILED_ALONE = "ConditionalCheckFailedException"
_TRANSIENT = frozenset({"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_MAX_BATCH_GET = 100
_MAX_BATCH_WRITE = 25


class TableClient(Protocol):
    """The operations that are called, as in boto3's DynamoDB client."""

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """Call GetItem."""

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call BatchGetItem."""

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call Query."""

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call UpdateItem."""

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call TransactWriteItems."""

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Call BatchWriteItem."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of a query, and the key after which the next page starts."""

    items: list[dict[str, Value]]
    resume_after: dict[str, Value] | None


@dataclass(frozen=True, slots=True)
class Refused:
    """An action whose condition failed, and the existing item."""

    action: Action
    existing: Item | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """An update whose condition failed, and the existing item."""

    existing: Item | None


class Store:
    """One slice of one table.

    Every method raises `DependencyUnavailable` if DynamoDB does not respond, or throttles for longer than 5 s.
    """

    def __init__(
        self,
        client: TableClient,
        *,
        table: str,
        owned: Slice,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[float, float], float] = RANDOM.uniform,
    ) -> None:
        self._client = client
        self._table = table
        self.owned = owned
        self._sleep = sleep
        self._jitter = jitter

    def get(self, key: Key, *, only: Sequence[str] = ()) -> dict[str, Value] | None:
        """Return the current item, or None.

        Args:
            key: the key of the item.
            only: the attributes to read; all by default.
        """
        if read := prefetch.pop((self._table, key)):
            return read[0]
        answer = self._patiently(
            lambda: self._client.get_item(TableName=self._table, Key=key.wire, ConsistentRead=True, **_projection(only))
        )
        return item_from_wire(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key], *, only: Sequence[str] = ()) -> dict[Key, dict[str, Value]]:
        """Return the current items under these keys. Missing items are omitted.

        Args:
            keys: the keys of the items.
            only: the attributes to read, which must include the key; all by default.
        """
        found: dict[Key, dict[str, Value]] = {}
        for start in range(0, len(keys), _MAX_BATCH_GET):
            wanted = [key.wire for key in keys[start : start + _MAX_BATCH_GET]]
            for wire in self._read_all(wanted, only):
                item = item_from_wire(wire)
                found[Key(str(item["PK"]), str(item["SK"]))] = item
        return found

    @contextmanager
    def prefetching(self, keys: Sequence[Key]) -> Generator[None]:
        """Read these items together. Within this block, the first `get` of each item returns this read's result."""
        found = self.get_many(keys)
        with prefetch.known({(self._table, key): found.get(key) for key in keys}):
            yield

    def query(
        self,
        condition: Expression,
        *,
        index: Literal["list", "due"] | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        resume_after: Item | None = None,
    ) -> Page:
        """Return one page of the items that match a key condition. The read is consistent unless it uses an index."""
        arguments: Wire = {
            "TableName": self._table,
            "ScanIndexForward": not newest_first,
            "ConsistentRead": index is None,
            **condition.arguments("KeyConditionExpression"),
        }
        if index:
            arguments["IndexName"] = index
        if limit:
            arguments["Limit"] = limit
        if resume_after:
            arguments["ExclusiveStartKey"] = item_to_wire(resume_after)
        answer = self._patiently(lambda: self._client.query(**arguments))
        last = answer.get("LastEvaluatedKey")
        return Page([item_from_wire(item) for item in answer["Items"]], item_from_wire(last) if last else None)

    def query_all(
        self, condition: Expression, *, index: Literal["list", "due"] | None = None, newest_first: bool = False
    ) -> Iterator[dict[str, Value]]:
        """Yield all items that match a key condition, page by page."""
        resume_after: dict[str, Value] | None = None
        while True:
            page = self.query(condition, index=index, newest_first=newest_first, resume_after=resume_after)
            yield from page.items
            resume_after = page.resume_after
            if resume_after is None:
                return

    def update(self, key: Key, change: Expression, *, when: Expression) -> Item | None:
        """Update one item without a transaction and without events, for single items that change often.

        Returns:
            The item after the update, or None if the condition failed.
        """
        answer = self._update(key, change, when, ReturnValues="ALL_NEW")
        return None if isinstance(answer, Unchanged) else item_from_wire(answer["Attributes"])

    def update_or_see(self, key: Key, change: Expression, *, when: Expression) -> Item | Unchanged:
        """Update one item as `update` does. If the condition failed, return the existing item."""
        answer = self._update(key, change, when, ReturnValues="ALL_NEW", ReturnValuesOnConditionCheckFailure="ALL_OLD")
        return answer if isinstance(answer, Unchanged) else item_from_wire(answer["Attributes"])

    def try_update(self, key: Key, change: Expression, *, when: Expression) -> Unchanged | None:
        """Update one item as `update` does, without returning it: for an item that is large or in high demand.

        Returns:
            None if the item was updated, or else the existing item.
        """
        answer = self._update(key, change, when, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        return answer if isinstance(answer, Unchanged) else None

    def update_and_see(self, key: Key, change: Expression, *, when: Expression) -> Item | Unchanged:
        """Update one item as `try_update` does, but return the new values of the changed attributes."""
        returned = {"ReturnValues": "UPDATED_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        answer = self._update(key, change, when, **returned)
        return answer if isinstance(answer, Unchanged) else item_from_wire(answer.get("Attributes", {}))

    def _update(self, key: Key, change: Expression, when: Expression, **returned: str) -> Any | Unchanged:  # noqa: ANN401 — botocore's answers have no static type
        arguments = arguments_of({"UpdateExpression": change, "ConditionExpression": when})
        try:
            return self._patiently(
                lambda: self._client.update_item(TableName=self._table, Key=key.wire, **returned, **arguments)
            )
        except ClientError as error:
            if code_of(error) == _CONDITION_FAILED_ALONE:
                there = error.response.get("Item")
                return Unchanged(item_from_wire(there) if there else None)
            raise

    def commit(self, transaction: Transaction) -> None:
        """Apply a transaction and its events, or none of it.

        Raises:
            Exception: the refusal of the first action whose condition failed.
        """
        for refused in self.try_commit(transaction):
            raise refused.action.refusal(refused.existing)

    def try_commit(self, transaction: Transaction) -> list[Refused]:
        """Apply a transaction as `commit` does, but return the actions whose conditions failed; empty on success."""
        actions = [*transaction.actions, *self._outbox(transaction)]
        request = [{action.operation: {"TableName": self._table, **action.arguments}} for action in actions]
        token = str(uuid.uuid4())
        try:
            self._patiently(lambda: self._client.transact_write_items(TransactItems=request, ClientRequestToken=token))
        except ClientError as error:
            refused = _refused(error, actions)
            if not refused:
                raise
            return refused
        return []

    def remove(self, keys: Sequence[Key]) -> None:
        """Delete items of a deleted tenant, without conditions and without events."""
        for start in range(0, len(keys), _MAX_BATCH_WRITE):
            waits = self._waits()
            wanted = [{"DeleteRequest": {"Key": key.wire}} for key in keys[start : start + _MAX_BATCH_WRITE]]
            while wanted:
                request = {self._table: wanted}
                answer = self._patiently(lambda request=request: self._client.batch_write_item(RequestItems=request))
                wanted = answer.get("UnprocessedItems", {}).get(self._table, [])
                if wanted:
                    self._wait(waits)

    def _outbox(self, transaction: Transaction) -> Iterator[Action]:
        record = None if transaction.is_step else audit_record(transaction.tenant_id, transaction.events)
        for event in (*transaction.events, *([record] if record else [])):
            outbox = Transaction(transaction.tenant_id)
            outbox.put(outbox_item(self.owned, event))
            yield outbox.actions[0]

    def _read_all(self, wanted: list[Wire], only: Sequence[str]) -> Iterator[Wire]:
        waits = self._waits()
        while wanted:
            request = {self._table: {"Keys": wanted, "ConsistentRead": True, **_projection(only)}}
            answer = self._patiently(lambda request=request: self._client.batch_get_item(RequestItems=request))
            yield from answer["Responses"].get(self._table, ())
            wanted = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if wanted:
                self._wait(waits)

    def _patiently(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 — the answer of the call
        waits = self._waits()
        while True:
            try:
                return call()
            except ClientError as error:
                if not _may_pass(error):
                    raise
                self._wait(waits, error)
            except BotoCoreError as error:
                msg = "The database is unavailable. It is safe to retry the request."
                raise DependencyUnavailable(msg, retry_after_s=1) from error

    def _waits(self) -> Iterator[float]:
        """Yield delays with full jitter: from 25 ms, doubled up to 1 s, at most 5 s in total, within the deadline."""
        ceiling, spent, patience_s = _FIRST_DELAY_S, 0.0, bounded_s(_MAX_WAIT_S)
        while spent < patience_s:
            wait = self._jitter(0, ceiling)
            yield wait
            spent += max(wait, _FIRST_DELAY_S)
            ceiling = min(ceiling * 2, _MAX_DELAY_S)

    def _wait(self, waits: Iterator[float], cause: Exception | None = None) -> None:
        wait = next(waits, None)
        if wait is None:
            msg = "The database is busy; try again in a moment."
            raise DependencyUnavailable(msg, retry_after_s=1) from cause
        self._sleep(wait)


def _projection(names: Sequence[str]) -> Wire:
    if not names:
        return {}
    aliases = {f"#{name}": name for name in names}
    return {"ProjectionExpression": ", ".join(aliases), "ExpressionAttributeNames": aliases}


def _reasons(error: ClientError) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", error.response.get("CancellationReasons", []))


def _may_pass(error: ClientError) -> bool:
    """Return whether the same call may succeed soon: after a conflict or throttling, not after a failed condition."""
    if code_of(error) == "TransactionCanceledException":
        return all(reason["Code"] in _TRANSIENT for reason in _reasons(error))
    return code_of(error) == "TransactionConflictException" or is_passing(error)


def _refused(error: ClientError, actions: Sequence[Action]) -> list[Refused]:
    return [
        Refused(action, item_from_wire(reason["Item"]) if reason.get("Item") else None)
        for reason, action in zip(_reasons(error), actions, strict=False)
        if reason["Code"] == _CONDITION_FAILED
    ]
