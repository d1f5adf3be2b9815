"""A database with scripted responses, and a store whose waits take no time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from shared.declaration import Slice, Table
from shared.storage.store import Store

SLICE = Slice("RUNS", Table.ENTITIES)


def failure(code: str, operation: str = "Operation") -> ClientError:
    """Return an error as botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": "scripted error"}}, operation)


def cancelled(*codes: str, existing: Sequence[dict[str, Any] | None] = ()) -> ClientError:
    """Return the error of a cancelled transaction, with a reason and the existing item for each action."""
    reasons: list[dict[str, Any]] = [{"Code": code} for code in codes]
    for reason, item in zip(reasons, existing, strict=False):
        if item:
            reason["Item"] = item
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": reasons,
    }
    return ClientError(response, "TransactWriteItems")


@dataclass
class ScriptedDatabase:
    """A client that returns its responses in order, repeats the last one, and records the requests."""

    responses: Sequence[Any]
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def _next_response(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        self.requests.append(arguments)
        scripted = self.responses[min(len(self.requests), len(self.responses)) - 1]
        if isinstance(scripted, Exception):
            raise scripted
        return scripted

    get_item = batch_get_item = query = update_item = transact_write_items = batch_write_item = _next_response


@dataclass
class Waits:
    """A fake of sleep and jitter that records the waits and always draws the longest one."""

    seconds: list[float] = field(default_factory=list[float])
    ceilings: list[float] = field(default_factory=list[float])

    def sleep(self, seconds: float) -> None:
        """Record a wait."""
        self.seconds.append(seconds)

    def jitter(self, low: float, high: float) -> float:
        """Return the longest wait."""
        assert low == 0
        self.ceilings.append(high)
        return high


def scripted_store(*responses: Any) -> tuple[Store, ScriptedDatabase, Waits]:  # noqa: ANN401 — as botocore
    """Return a store on a database with these responses."""
    database, waits = ScriptedDatabase(responses), Waits()
    store = Store(database, table="entities", owned=SLICE, sleep=waits.sleep, jitter=waits.jitter)
    return store, database, waits


def tokens(database: ScriptedDatabase) -> Iterator[str]:
    """Yield the client request tokens of the requests."""
    return (arguments["ClientRequestToken"] for arguments in database.requests)
