"""A queue that a function of the same service fills: no events, so nobody else can hear of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from shared.deadline import invocation
from shared.messaging.batch import report_batch
from shared.observability import continue_trace, trace_of_invocation

MessageT = TypeVar("MessageT", bound=BaseModel)


class QueueConsumer(Generic[MessageT]):
    """What one function takes from its own queue. Lambda calls the object itself with a batch.

    Args:
        name: of the function, with its service's.
        kind: of the messages.
        handle: handles one of them; whatever it raises brings the message again, and at last to the dead letters.
    """

    def __init__(self, name: str, kind: type[MessageT], handle: Callable[[MessageT], None]) -> None:
        self.name = name
        self._kind = kind
        self._handle = handle

    def __call__(self, batch: dict[str, Any], context: object = None) -> dict[str, Any]:
        """Handle a batch; the answer names the messages that must come again."""
        continue_trace(trace_of_invocation())
        failed: dict[str, Exception] = {}
        with invocation(context):
            for record in batch["Records"]:
                if error := self._handle_one(record["body"]):
                    failed[record["messageId"]] = error
        report_batch(self.name, batch["Records"], failed)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _handle_one(self, body: str) -> Exception | None:
        try:
            self._handle(self._kind.model_validate_json(body))
        except Exception as error:  # noqa: BLE001 — the edge: one bad message must not take the others with it
            return error
        return None
