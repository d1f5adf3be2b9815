"""A tap on the bus: a queue and a rule of its own, which hear everything and are removed at the end."""

import json
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.names import Names

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_sqs import SQSClient

_KIND = "tap"
_KEPT_S = 300
"""What nobody has read by then is gone, so that a tap that was left behind costs nothing."""
_WAIT_S = 2
_TARGET = "queue"

Heard = dict[str, Any]
"""An event as its consumers get it: the envelope of `shared.events`."""


@dataclass(frozen=True, slots=True)
class Bus:
    """What is tapped, and with what."""

    names: Names
    events: "EventBridgeClient"
    sqs: "SQSClient"


@contextmanager
def tapped(bus: Bus) -> Generator[str]:
    """The URL of a queue that gets every event on the bus from now on; queue and rule go with the block."""
    name = bus.names.of(_KIND, secrets.token_hex(4))
    rule_arn = bus.names.arn("events", f"rule/{bus.names.bus}/{name}")
    policy = json.dumps(_policy(bus.names.arn("sqs", name), rule_arn))
    made = bus.sqs.create_queue(QueueName=name, Attributes={"MessageRetentionPeriod": str(_KEPT_S), "Policy": policy})
    url = made["QueueUrl"]
    try:
        # Everything in this account, which is every event that has passed the bus.
        pattern = json.dumps({"account": [bus.names.account]})
        bus.events.put_rule(Name=name, EventBusName=bus.names.bus, EventPattern=pattern)
        target = bus.names.arn("sqs", name)
        bus.events.put_targets(Rule=name, EventBusName=bus.names.bus, Targets=[{"Id": _TARGET, "Arn": target}])
        yield url
    finally:
        _remove(bus, name, url)


def heard(bus: Bus, url: str) -> Iterator[Heard | None]:
    """Events as they come, without an end; None when nothing has come for a while."""
    while True:
        answer = bus.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_S)
        messages = answer.get("Messages", [])
        for message in messages:
            bus.sqs.delete_message(QueueUrl=url, ReceiptHandle=message.get("ReceiptHandle", ""))
            yield json.loads(message.get("Body", "{}"))["detail"]
        if not messages:
            yield None


def _policy(queue_arn: str, rule_arn: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _remove(bus: Bus, name: str, url: str) -> None:
    missing = bus.events.exceptions.ResourceNotFoundException
    with suppress(missing):
        bus.events.remove_targets(Rule=name, EventBusName=bus.names.bus, Ids=[_TARGET])
    with suppress(missing):
        bus.events.delete_rule(Name=name, EventBusName=bus.names.bus)
    bus.sqs.delete_queue(QueueUrl=url)
