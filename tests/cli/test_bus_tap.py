"""What passes on the bus, heard by a tap that leaves nothing behind."""

import json
from collections.abc import Generator
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from cli.bus_tap import Bus, Heard, heard, tapped
from cli.commands.events import is_asked_for, line_of
from infra.local.clients import Clients
from infra.names import Names
from shared.events.envelope import happened
from shared.events.runs import RunQueued

NOW = datetime(2026, 11, 22, 23, 19, 5, 42_000, tzinfo=UTC)
EVENT = happened(RunQueued(run_id="run_1"), event_id="e", tenant_id="acme", subject="run_1", seq=1, at=NOW)
SAID: Heard = EVENT.model_dump(mode="json")


@pytest.fixture
def bus() -> Generator[Bus]:
    """A bus that nobody listens to."""
    with mock_aws():
        clients = Clients(boto3.Session("testing", "testing", region_name="us-east-2"))
        names = Names("test", "123456789012")
        clients.events.create_event_bus(Name=names.bus)
        yield Bus(names, clients.events, clients.sqs)


class TestTap:
    def test_is_a_rule_that_sends_all_to_its_queue(self, bus: Bus) -> None:
        with tapped(bus) as url:
            (rule,) = bus.events.list_rules(EventBusName=bus.names.bus)["Rules"]
            found = bus.events.list_targets_by_rule(Rule=rule.get("Name", ""), EventBusName=bus.names.bus)
            assert json.loads(rule.get("EventPattern", "")) == {"account": ["123456789012"]}
            assert [target["Arn"].rpartition(":")[2] for target in found["Targets"]] == [url.rpartition("/")[2]]

    def test_gives_each_event_once(self, bus: Bus) -> None:
        with tapped(bus) as url:
            bus.sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"detail-type": EVENT.type, "detail": SAID}))
            found = heard(bus, url)
            assert [next(found), next(found)] == [SAID, None]

    def test_leaves_nothing_behind_also_when_it_is_interrupted(self, bus: Bus) -> None:
        with pytest.raises(KeyboardInterrupt):
            _interrupt(bus)
        assert not bus.sqs.list_queues().get("QueueUrls")
        assert bus.events.list_rules(EventBusName=bus.names.bus)["Rules"] == []


def _interrupt(bus: Bus) -> None:
    with tapped(bus):
        assert bus.sqs.list_queues().get("QueueUrls")
        raise KeyboardInterrupt


class TestIsAskedFor:
    @pytest.mark.parametrize(
        ("pattern", "tenant", "asked"),
        [
            ("*", None, True),
            ("run.*", "acme", True),
            ("run.queued.v1", None, True),
            ("usage.*", None, False),
            ("*", "acme2", False),
        ],
    )
    def test_by_type_and_tenant(self, pattern: str, tenant: str | None, asked: bool) -> None:  # noqa: FBT001 — a parameter of pytest's
        assert is_asked_for(SAID, pattern=pattern, tenant=tenant) is asked


class TestLineOf:
    def test_says_when_what_and_of_whom(self) -> None:
        words = line_of(SAID, with_data=False).split()
        assert words == ["23:19:05.042", "run.queued.v1", "acme", "run_1", "seq", "1"]

    def test_says_all_when_asked_to(self) -> None:
        assert line_of(SAID, with_data=True).endswith('{"run_id": "run_1"}')
