"""Dead letters: found, looked at, and sent again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.names import PRODUCT

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

SUFFIX = "-dead-letters"
_HIDDEN_S = 60
"""For how long a message is hidden while it is looked at or sent."""
_BODY_SHOWN = 200


class NoSource(Exception):
    """These dead letters came from no queue, so they cannot be sent again."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of dead letters."""

    url: str

    @property
    def name(self) -> str:
        """Its name."""
        return self.url.rpartition("/")[2]

    @property
    def source(self) -> str:
        """The name of the queue whose messages end here."""
        return self.name.removesuffix(SUFFIX)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message."""

    message_id: str
    receipt: str
    body: str
    received: int
    attributes: dict[str, Any]

    @property
    def summary(self) -> dict[str, Any]:
        """What a person wants to know of it."""
        event = _event_in(self.body)
        return {
            "message_id": self.message_id,
            "type": event.get("type"),
            "subject": event.get("subject"),
            "received": self.received,
            "body": self.body if len(self.body) <= _BODY_SHOWN else f"{self.body[:_BODY_SHOWN]}…",
        }


@dataclass(frozen=True, slots=True)
class Redriven:
    """A message that was sent again, under a new id."""

    queue: str
    message_id: str
    sent_as: str


def queues_of(sqs: "SQSClient", environment: str) -> list[Queue]:
    """All queues of dead letters of an environment."""
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{PRODUCT}-{environment}-")
    urls = (url for page in pages for url in page.get("QueueUrls", []))
    return sorted((Queue(url) for url in urls if url.endswith(SUFFIX)), key=lambda queue: queue.name)


def source_of(sqs: "SQSClient", queue: Queue) -> str:
    """The URL of the queue whose messages end here.

    Raises:
        NoSource: there is none; the publisher puts here what the bus refused.
    """
    try:
        return sqs.get_queue_url(QueueName=queue.source)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist as error:
        raise NoSource(queue.name) from error


def describe(sqs: "SQSClient", queue: Queue) -> dict[str, Any]:
    """How many messages lie in a queue."""
    said = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["ApproximateNumberOfMessages"])
    return {"queue": queue.name, "messages": int(said.get("Attributes", {}).get("ApproximateNumberOfMessages", 0))}


def peek(sqs: "SQSClient", queue: Queue) -> list[Letter]:
    """All messages of a queue; they can be seen by others again at once."""
    letters = {letter.message_id: letter for letter in _receive_all(sqs, queue)}
    for letter in letters.values():
        _release(sqs, queue, letter)
    return list(letters.values())


def redrive(sqs: "SQSClient", queue: Queue, *, only: frozenset[str] | None = None) -> Iterator[Redriven]:
    """Send messages to the queue that they came from, and only then delete them.

    What fails again while this goes on comes back under the id that it was sent with; it is left alone,
    so that there is an end.

    Args:
        sqs: the client.
        queue: of dead letters.
        only: ids of messages; None: all.

    Raises:
        NoSource: they came from no queue.
    """
    source = source_of(sqs, queue)
    sent: set[str] = set()
    kept: list[Letter] = []
    for letter in _receive_all(sqs, queue):
        if letter.message_id in sent or (only is not None and letter.message_id not in only):
            kept.append(letter)
            continue
        sent_as = sqs.send_message(QueueUrl=source, MessageBody=letter.body, MessageAttributes=letter.attributes)
        sent.add(sent_as["MessageId"])
        sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=letter.receipt)
        yield Redriven(queue.source, letter.message_id, sent_as["MessageId"])
    for letter in kept:
        _release(sqs, queue, letter)


def _receive_all(sqs: "SQSClient", queue: Queue) -> Iterator[Letter]:
    """Messages until none is visible; each is hidden for a while, so that the next ones come."""
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN_S,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        if not answer.get("Messages"):
            return
        for message in answer["Messages"]:
            yield Letter(
                message_id=message.get("MessageId", ""),
                receipt=message.get("ReceiptHandle", ""),
                body=message.get("Body", ""),
                received=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 0)),
                attributes=dict(message.get("MessageAttributes", {})),
            )


def _release(sqs: "SQSClient", queue: Queue, letter: Letter) -> None:
    sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)


def _event_in(body: str) -> dict[str, Any]:
    """The event of an EventBridge message; nothing of what is none."""
    try:
        return json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        return {}
