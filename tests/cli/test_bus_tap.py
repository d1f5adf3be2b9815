"""The tap on the bus, which removes its queue and rule."""

import json
from collections.abc import Generator
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from cli.bus_tap import EventEnvelope, TappedBus, format_event, matches, receive_events, tap
from infra.local.clients import AwsClients
from infra.names import Names
from shared.events.envelope import new_event
from shared.events.runs import RunQueued

NOW = datetime(2026, 11, 22, 23, 19, 5, 42_000, tzinfo=UTC)
EVENT = new_event(RunQueued(run_id="run_1"), event_id="e", tenant_id="acme", subject="run_1", seq=1, at=NOW)
ENVELOPE: EventEnvelope = EVENT.model_dump(mode="json")


@pytest.fixture
def bus() -> Generator[TappedBus]:
    """Yield a bus without rules."""
    with mock_aws():
        clients = AwsClients(boto3.Session("testing", "testing", region_name="us-east-2"))
        names = Names("test", "123456789012")
        clients.events.create_event_bus(Name=names.bus)
        yield TappedBus(names, clients.events, clients.sqs)


class TestTap:
    def test_creates_a_rule_that_sends_all_events_to_its_queue(self, bus: TappedBus) -> None:
        with tap(bus) as url:
            (rule,) = bus.events.list_rules(EventBusName=bus.names.bus)["Rules"]
            found = bus.events.list_targets_by_rule(Rule=rule.get("Name", ""), EventBusName=bus.names.bus)
            assert json.loads(rule.get("EventPattern", "")) == {"account": ["123456789012"]}
            assert [target["Arn"].rpartition(":")[2] for target in found["Targets"]] == [url.rpartition("/")[2]]

    def test_yields_each_event_once(self, bus: TappedBus) -> None:
        with tap(bus) as url:
            bus.sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"detail-type": EVENT.type, "detail": ENVELOPE}))
            found = receive_events(bus, url)
            assert [next(found), next(found)] == [ENVELOPE, None]

    def test_removes_queue_and_rule_after_an_interrupt(self, bus: TappedBus) -> None:
        with pytest.raises(KeyboardInterrupt):
            _interrupt(bus)
        assert not bus.sqs.list_queues().get("QueueUrls")
        assert bus.events.list_rules(EventBusName=bus.names.bus)["Rules"] == []


def _interrupt(bus: TappedBus) -> None:
    with tap(bus):
        assert bus.sqs.list_queues().get("QueueUrls")
        raise KeyboardInterrupt


class TestMatches:
    @pytest.mark.parametrize(
        ("pattern", "tenant", "matching"),
        [
            ("*", None, True),
            ("run.*", "acme", True),
            ("run.queued.v1", None, True),
            ("usage.*", None, False),
            ("*", "acme2", False),
        ],
    )
    def test_compares_type_and_tenant(self, pattern: str, tenant: str | None, matching: bool) -> None:  # noqa: FBT001 — a parameter of pytest's
        assert matches(ENVELOPE, pattern=pattern, tenant=tenant) is matching


class TestFormatEnvelope:
    def test_has_time_type_tenant_and_subject(self) -> None:
        words = format_event(ENVELOPE, with_data=False).split()
        assert words == ["23:19:05.042", "run.queued.v1", "acme", "run_1", "seq", "1"]

    def test_has_the_data_on_request(self) -> None:
        assert format_event(ENVELOPE, with_data=True).endswith('{"run_id": "run_1"}')
