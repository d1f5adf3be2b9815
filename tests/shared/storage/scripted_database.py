"""A database that answers as it is told, and a store that waits without waiting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from shared.declaration import Slice, Table
from shared.storage.store import Store

SLICE = Slice("RUNS", Table.ENTITIES)


def failure(code: str, operation: str = "Operation") -> ClientError:
    """An error as botocore raises it."""
    return ClientError({"Error": {"Code": code, "Message": "as told"}}, operation)


def cancelled(*codes: str, there: Sequence[dict[str, Any] | None] = ()) -> ClientError:
    """A cancelled transaction with a reason for each action, and what was there."""
    reasons: list[dict[str, Any]] = [{"Code": code} for code in codes]
    for reason, item in zip(reasons, there, strict=False):
        if item:
            reason["Item"] = item
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": reasons,
    }
    return ClientError(response, "TransactWriteItems")


@dataclass
class ScriptedDatabase:
    """Gives one answer after the other, and keeps what it was asked; the last answer is given for ever."""

    answers: Sequence[Any]
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def _answer(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        self.asked.append(arguments)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    get_item = batch_get_item = query = update_item = transact_write_items = batch_write_item = _answer


@dataclass
class Waits:
    """Keeps how long was waited, and always draws the longest wait."""

    seconds: list[float] = field(default_factory=list[float])
    ceilings: list[float] = field(default_factory=list[float])

    def sleep(self, seconds: float) -> None:
        """Wait, but not really."""
        self.seconds.append(seconds)

    def jitter(self, low: float, high: float) -> float:
        """The longest wait."""
        assert low == 0
        self.ceilings.append(high)
        return high


def scripted_store(*answers: Any) -> tuple[Store, ScriptedDatabase, Waits]:  # noqa: ANN401 — as botocore
    """A store over a database with these answers."""
    database, waits = ScriptedDatabase(answers), Waits()
    store = Store(database, table="entities", owned=SLICE, sleep=waits.sleep, jitter=waits.jitter)
    return store, database, waits


def tokens(database: ScriptedDatabase) -> Iterator[str]:
    """The client request tokens that it was sent."""
    return (arguments["ClientRequestToken"] for arguments in database.asked)
