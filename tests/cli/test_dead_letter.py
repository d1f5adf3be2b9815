"""Dead letters: a redrive loses none and ends."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.dead_letter import DeadLetterQueue, NoSourceQueue, list_queues, peek, redrive

_DEAD = DeadLetterQueue("http://sqs/1/ainexus-dev-runs-worker-dead-letters")


class _NoSuchQueue(Exception):
    pass


class _SqsExceptions:
    QueueDoesNotExist = _NoSuchQueue


@dataclass
class FakeSqs:
    """Queues whose received messages stay hidden until they are released."""

    bodies: list[str]
    sources: tuple[str, ...] = ("ainexus-dev-runs-worker",)
    fails_at: int | None = None
    comes_back: bool = False
    exceptions: type[_SqsExceptions] = _SqsExceptions
    log: list[str] = field(default_factory=list[str])
    hidden: set[str] = field(default_factory=set[str])
    deleted: set[str] = field(default_factory=set[str])
    sent: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.messages = {f"m{number}": body for number, body in enumerate(self.bodies)}

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:  # noqa: N803 — boto3's names, here and below
        if QueueName not in self.sources:
            raise _NoSuchQueue
        return {"QueueUrl": f"http://sqs/1/{QueueName}"}

    def receive_message(self, *, MaxNumberOfMessages: int, **_: object) -> dict[str, Any]:  # noqa: N803
        visible = [key for key in self.messages if key not in self.hidden | self.deleted][:MaxNumberOfMessages]
        self.hidden |= set(visible)
        found = [{"MessageId": key, "ReceiptHandle": key, "Body": self.messages[key]} for key in visible]
        return {"Messages": found} if found else {}

    def send_message(self, *, QueueUrl: str, MessageBody: str, **_: object) -> dict[str, str]:  # noqa: N803
        if self.fails_at == len(self.sent):
            raise ConnectionError(QueueUrl)
        message_id = f"n{len(self.sent)}"
        self.sent.append(MessageBody)
        self.log.append(f"send {MessageBody}")
        if self.comes_back:
            self.messages[message_id] = MessageBody
        return {"MessageId": message_id}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        assert QueueUrl == _DEAD.url
        self.deleted.add(ReceiptHandle)
        self.log.append(f"delete {self.messages[ReceiptHandle]}")

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        assert (QueueUrl, VisibilityTimeout) == (_DEAD.url, 0)
        self.hidden.discard(ReceiptHandle)

    def get_paginator(self, operation: str) -> "FakeSqs":
        assert operation == "list_queues"
        return self

    def paginate(self, *, QueueNamePrefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        names = ("b-dead-letters", "b", "a-dead-letters")
        return iter([{"QueueUrls": [f"http://sqs/1/{QueueNamePrefix}{name}" for name in names]}, {}])


def _sqs(*bodies: str, **options: Any) -> Any:  # noqa: ANN401 — in place of boto3's client
    return FakeSqs(list(bodies), **options)


class TestRedriveOfDeadLetters:
    def test_deletes_each_only_after_it_was_sent(self) -> None:
        sqs = _sqs("a", "b")
        moved = list(redrive(sqs, _DEAD))
        assert sqs.log == ["send a", "delete a", "send b", "delete b"]
        assert [(one.queue, one.message_id, one.sent_as) for one in moved] == [
            ("ainexus-dev-runs-worker", "m0", "n0"),
            ("ainexus-dev-runs-worker", "m1", "n1"),
        ]

    def test_keeps_messages_that_could_not_be_sent(self) -> None:
        sqs = _sqs("a", "b", fails_at=1)
        with pytest.raises(ConnectionError):
            list(redrive(sqs, _DEAD))
        assert sqs.deleted == {"m0"}

    def test_sends_only_the_named_and_makes_the_others_visible(self) -> None:
        sqs = _sqs("a", "b", "c")
        list(redrive(sqs, _DEAD, only=frozenset({"m1"})))
        assert sqs.sent == ["b"]
        assert sqs.hidden == {"m1"}

    def test_ends_when_the_messages_fail_again(self) -> None:
        sqs = _sqs("a", "b", comes_back=True)
        list(redrive(sqs, _DEAD))
        assert sqs.sent == ["a", "b"]
        assert sqs.deleted == {"m0", "m1"}

    def test_sends_more_than_one_page(self) -> None:
        sqs = _sqs(*(str(number) for number in range(25)))
        assert len(list(redrive(sqs, _DEAD))) == 25

    def test_refuses_messages_that_came_from_no_queue(self) -> None:
        sqs = _sqs("a", sources=())
        with pytest.raises(NoSourceQueue):
            list(redrive(sqs, _DEAD))
        assert sqs.hidden == set()


class TestPeek:
    def test_makes_all_messages_visible_again(self) -> None:
        sqs = _sqs(*(str(number) for number in range(12)))
        assert len(peek(sqs, _DEAD)) == 12
        assert sqs.hidden == set()

    def test_reads_the_event_in_a_message(self) -> None:
        event = '{"detail": {"type": "run.queued.v1", "subject": "run_1"}}'
        found, other = (letter.summary for letter in peek(_sqs(event, "no JSON"), _DEAD))
        assert (found["type"], found["subject"]) == ("run.queued.v1", "run_1")
        assert (other["type"], other["body"]) == (None, "no JSON")


class TestListQueues:
    def test_returns_only_dead_letter_queues_sorted(self) -> None:
        names = [queue.name for queue in list_queues(_sqs(), "dev")]
        assert names == ["ainexus-dev-a-dead-letters", "ainexus-dev-b-dead-letters"]
