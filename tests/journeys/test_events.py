"""What passes on the bus can be heard live."""

import pytest

from cli.bus_tap import TappedBus, receive_events, tap
from tests.journeys.steps import Steps, wait_for
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh


def test_a_tap_hears_what_is_said_and_leaves_nothing_behind(mesh: Mesh) -> None:
    bus = TappedBus(mesh.target.names, mesh.clients.events, mesh.clients.sqs)
    with tap(bus) as url:
        project = Steps(mesh).create_project("Heard").body["project"]["project_id"]
        coming = receive_events(bus, url)
        said = wait_for(
            lambda: next((one for one in [next(coming)] if one and one["subject"] == project), None),
            what="the project on the bus",
        )
        assert (said["type"], said["tenant_id"]) == ("project.created.v1", "demo-org")
    rules = bus.events.list_rules(EventBusName=bus.names.bus)["Rules"]
    assert not [rule for rule in rules if "-tap-" in rule.get("Name", "")]
    assert not [url for url in bus.sqs.list_queues().get("QueueUrls", []) if "-tap-" in url]
