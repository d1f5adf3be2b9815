"""Dead letters: list, read and redrive them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.names import PRODUCT

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

SUFFIX = "-dead-letters"
_VISIBILITY_TIMEOUT_S = 60
"""The time in which a received message is read or sent."""
_BODY_EXCERPT_CHARS = 200


class NoSourceQueue(Exception):
    """These dead letters came from no queue, so they cannot be redriven."""


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """A dead-letter queue."""

    url: str

    @property
    def name(self) -> str:
        """The name of this queue."""
        return self.url.rpartition("/")[2]

    @property
    def source(self) -> str:
        """The name of the queue that its messages came from."""
        return self.name.removesuffix(SUFFIX)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A received message; `received` counts how often."""

    message_id: str
    receipt: str
    body: str
    received: int
    attributes: dict[str, Any]

    @property
    def summary(self) -> dict[str, Any]:
        """The message's event and the beginning of its body, for display."""
        event = _event_in(self.body)
        return {
            "message_id": self.message_id,
            "type": event.get("type"),
            "subject": event.get("subject"),
            "received": self.received,
            "body": self.body if len(self.body) <= _BODY_EXCERPT_CHARS else f"{self.body[:_BODY_EXCERPT_CHARS]}…",
        }


@dataclass(frozen=True, slots=True)
class RedrivenMessage:
    """A message that was sent again under the id `sent_as`."""

    queue: str
    message_id: str
    sent_as: str


def list_queues(sqs: "SQSClient", environment: str) -> list[DeadLetterQueue]:
    """Return all dead-letter queues of an environment, by name."""
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{PRODUCT}-{environment}-")
    urls = (url for page in pages for url in page.get("QueueUrls", []))
    return sorted((DeadLetterQueue(url) for url in urls if url.endswith(SUFFIX)), key=lambda queue: queue.name)


def describe(sqs: "SQSClient", queue: DeadLetterQueue) -> dict[str, Any]:
    """Return the name of a queue and its approximate number of messages."""
    attributes = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["ApproximateNumberOfMessages"])
    return {
        "queue": queue.name,
        "messages": int(attributes.get("Attributes", {}).get("ApproximateNumberOfMessages", 0)),
    }


def peek(sqs: "SQSClient", queue: DeadLetterQueue) -> list[DeadLetter]:
    """Return all messages of a queue and make them visible again at once."""
    letters = {letter.message_id: letter for letter in _receive_all(sqs, queue)}
    for letter in letters.values():
        _release(sqs, queue, letter)
    return list(letters.values())


def redrive(
    sqs: "SQSClient", queue: DeadLetterQueue, *, only: frozenset[str] | None = None
) -> Iterator[RedrivenMessage]:
    """Send messages back to their source queue, and delete each after it was sent.

    A message that fails again meanwhile returns under the id it was sent with. It is not sent twice, so that the
    loop ends.

    Args:
        sqs: the client.
        queue: the dead-letter queue.
        only: the ids of the messages to send; None sends all.

    Raises:
        NoSourceQueue: the messages came from no queue.
    """
    source_url = _find_source_url(sqs, queue)
    sent: set[str] = set()
    others: list[DeadLetter] = []
    for letter in _receive_all(sqs, queue):
        if letter.message_id in sent or (only is not None and letter.message_id not in only):
            others.append(letter)
            continue
        sent_as = sqs.send_message(QueueUrl=source_url, MessageBody=letter.body, MessageAttributes=letter.attributes)
        sent.add(sent_as["MessageId"])
        sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=letter.receipt)
        yield RedrivenMessage(queue.source, letter.message_id, sent_as["MessageId"])
    for letter in others:
        _release(sqs, queue, letter)


def _find_source_url(sqs: "SQSClient", queue: DeadLetterQueue) -> str:
    try:
        return sqs.get_queue_url(QueueName=queue.source)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist as error:
        # The publisher's own dead letters: events that the bus refused.
        raise NoSourceQueue(queue.name) from error


def _receive_all(sqs: "SQSClient", queue: DeadLetterQueue) -> Iterator[DeadLetter]:
    """Receive messages until none is visible; each stays hidden for a while, so that the next ones are received."""
    while True:
        response = sqs.receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_VISIBILITY_TIMEOUT_S,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        if not response.get("Messages"):
            return
        for message in response["Messages"]:
            yield DeadLetter(
                message_id=message.get("MessageId", ""),
                receipt=message.get("ReceiptHandle", ""),
                body=message.get("Body", ""),
                received=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 0)),
                attributes=dict(message.get("MessageAttributes", {})),
            )


def _release(sqs: "SQSClient", queue: DeadLetterQueue, letter: DeadLetter) -> None:
    sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)


def _event_in(body: str) -> dict[str, Any]:
    """Return the event of an EventBridge message; empty for any other body."""
    try:
        return json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        return {}
