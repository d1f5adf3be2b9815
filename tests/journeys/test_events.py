"""Events on the bus can be followed live."""

import pytest

from cli.bus_tap import TappedBus, receive_events, tap
from tests.journeys.steps import Steps, wait_for
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh


def test_tap_receives_events_and_removes_its_queue_and_rule(mesh: Mesh) -> None:
    bus = TappedBus(mesh.target.names, mesh.clients.events, mesh.clients.sqs)
    with tap(bus) as url:
        project = Steps(mesh).create_project("Tapped").body["project"]["project_id"]
        received = receive_events(bus, url)
        event = wait_for(
            lambda: next((one for one in [next(received)] if one and one["subject"] == project), None),
            description="the project on the bus",
        )
        assert (event["type"], event["tenant_id"]) == ("project.created.v1", "demo-org")
    rules = bus.events.list_rules(EventBusName=bus.names.bus)["Rules"]
    assert not [rule for rule in rules if "-tap-" in rule.get("Name", "")]
    assert not [url for url in bus.sqs.list_queues().get("QueueUrls", []) if "-tap-" in url]
