"""A queue that functions of the same service send to. Its messages are no events, so no other service receives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from shared.edge import open_scope
from shared.messaging.batch import report_batch

MessageT = TypeVar("MessageT", bound=BaseModel)


class QueueConsumer(Generic[MessageT]):
    """The messages that one function consumes from its own queue. Lambda calls the object itself with a batch.

    Args:
        name: the function with its service.
        kind: the model of the messages.
        handle: handles one message. After any error the message is received again, and finally becomes a dead letter.
    """

    def __init__(self, name: str, kind: type[MessageT], handle: Callable[[MessageT], None]) -> None:
        self.name = name
        self._kind = kind
        self._handle = handle

    def __call__(self, batch: dict[str, Any], context: object = None) -> dict[str, Any]:
        """Handle a batch, and return the messages that must be received again."""
        failed: dict[str, Exception] = {}
        with open_scope(context):
            for record in batch["Records"]:
                if error := self._handle_one(record["body"]):
                    failed[record["messageId"]] = error
            report_batch(self.name, batch["Records"], failed)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _handle_one(self, body: str) -> Exception | None:
        try:
            self._handle(self._kind.model_validate_json(body))
        except Exception as error:  # noqa: BLE001 — the entry point: one failing message must not affect the others
            return error
        return None
