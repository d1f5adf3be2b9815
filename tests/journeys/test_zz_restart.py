"""Down and up again: nothing is lost, nothing has moved."""

import pytest

from tests.journeys.steps import TENANT, Steps
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh


class TestRestart:
    def test_state_users_and_addresses_are_as_before_and_events_still_flow(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.agent()
        before = steps.submit(agent_id, "Before", headers={"Prefer": "wait=25"})
        steps.assert_counted_once(agent_id, [before])
        outputs, token = dict(mesh.outputs), mesh.token()
        mesh.restart()
        assert mesh.outputs == outputs
        assert mesh.call("GET", f"{TENANT}/runs/{before['run_id']}", token=token).body["run"] == before
        after = steps.submit(agent_id, "After [[tokens 20]]")
        done = steps.final(after["run_id"])
        steps.assert_counted_once(agent_id, [before, done])
