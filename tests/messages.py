"""Batches as SQS delivers them to a consumer, with EventBridge events in the bodies."""

import json
from typing import Any

from shared.events.envelope import Event


def batch(*events: Event[Any], extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return one message for each event, with the ids `message-0`, `message-1` and so on.

    Args:
        events: the events in the order of delivery.
        extra: fields to add to the data of each event, which its contract does not have.
    """
    return {"Records": [_record(number, event, extra or {}) for number, event in enumerate(events)]}


def _record(number: int, event: Event[Any], extra: dict[str, Any]) -> dict[str, Any]:
    detail = event.model_dump(mode="json")
    detail["data"] |= extra
    body = {"source": event.source, "detail-type": event.type, "detail": detail}
    return {"messageId": f"message-{number}", "body": json.dumps(body)}
