"""A temporary queue and rule that receive every event on the bus."""

import json
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from infra.names import Names

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_sqs import SQSClient

_NAME_PART = "tap"
_RETENTION_S = 300
"""Short, so that a queue that was left behind costs nothing."""
_WAIT_S = 2
_TARGET_ID = "queue"

EventEnvelope = dict[str, Any]
"""An event as consumers receive it: the envelope of `shared.events` as JSON."""


@dataclass(frozen=True, slots=True)
class TappedBus:
    """The bus of an environment, with the clients to tap it."""

    names: Names
    events: "EventBridgeClient"
    sqs: "SQSClient"


@contextmanager
def tap(bus: TappedBus) -> Generator[str]:
    """Create a queue that receives every event from now on, and yield its URL; at the end, remove queue and rule."""
    name = bus.names.of(_NAME_PART, secrets.token_hex(4))
    rule_arn = bus.names.arn("events", f"rule/{bus.names.bus}/{name}")
    policy = json.dumps(_policy(bus.names.arn("sqs", name), rule_arn))
    created = bus.sqs.create_queue(
        QueueName=name, Attributes={"MessageRetentionPeriod": str(_RETENTION_S), "Policy": policy}
    )
    url = created["QueueUrl"]
    try:
        # Every event on this bus is of this account.
        pattern = json.dumps({"account": [bus.names.account]})
        bus.events.put_rule(Name=name, EventBusName=bus.names.bus, EventPattern=pattern)
        target = bus.names.arn("sqs", name)
        bus.events.put_targets(Rule=name, EventBusName=bus.names.bus, Targets=[{"Id": _TARGET_ID, "Arn": target}])
        yield url
    finally:
        _remove(bus, name, url)


def receive_events(bus: TappedBus, url: str) -> Iterator[EventEnvelope | None]:
    """Yield events without an end; None when no event came for 2 s."""
    while True:
        response = bus.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_S)
        messages = response.get("Messages", [])
        for message in messages:
            bus.sqs.delete_message(QueueUrl=url, ReceiptHandle=message.get("ReceiptHandle", ""))
            yield json.loads(message.get("Body", "{}"))["detail"]
        if not messages:
            yield None


def matches(event: EventEnvelope, *, pattern: str, tenant: str | None) -> bool:
    """Return whether an event's type matches a glob pattern and its tenant is this one, or any if None."""
    return fnmatchcase(event["type"], pattern) and tenant in {None, event["tenant_id"]}


def format_event(event: EventEnvelope, *, with_data: bool) -> str:
    """Return an event on one line."""
    at = event["occurred_at"][11:23]
    line = f"{at}  {event['type']:28} {event['tenant_id']:20} {event['subject']} seq {event['seq']}"
    return f"{line}  {json.dumps(event['data'])}" if with_data else line


def _policy(queue_arn: str, rule_arn: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _remove(bus: TappedBus, name: str, url: str) -> None:
    missing = bus.events.exceptions.ResourceNotFoundException
    with suppress(missing):
        bus.events.remove_targets(Rule=name, EventBusName=bus.names.bus, Ids=[_TARGET_ID])
    with suppress(missing):
        bus.events.delete_rule(Name=name, EventBusName=bus.names.bus)
    bus.sqs.delete_queue(QueueUrl=url)
