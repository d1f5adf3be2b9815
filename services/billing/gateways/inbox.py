"""The queue between the function that receives webhooks and the one that handles them."""

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from services.billing.errors import PaymentsUnavailable


class Inbox(Protocol):
    """Takes webhooks that are to be handled."""

    def put(self, event_id: str) -> None:
        """Have a webhook handled.

        Raises:
            PaymentsUnavailable: the queue does not take it now; Stripe will send it again.
        """
        ...


class SqsInbox:
    """The real queue."""

    def __init__(self, client: Any, *, url: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._url = url

    def put(self, event_id: str) -> None:
        """See `Inbox.put`."""
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=json.dumps({"event_id": event_id}))
        except (BotoCoreError, ClientError) as error:
            raise PaymentsUnavailable from error


@dataclass
class FakeInbox:
    """A queue in memory."""

    event_ids: list[str] = field(default_factory=list[str])
    is_broken: bool = False

    def put(self, event_id: str) -> None:
        """See `Inbox.put`."""
        if self.is_broken:
            raise PaymentsUnavailable
        self.event_ids.append(event_id)
