"""A restart of the mesh keeps all data and addresses."""

import pytest

from tests.journeys.steps import TENANT, Steps
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh


class TestRestart:
    def test_keeps_data_tokens_and_addresses_and_delivers_events(self, mesh: Mesh, steps: Steps) -> None:
        agent_id = steps.create_agent()
        before = steps.submit(agent_id, "Before", headers={"Prefer": "wait=25"})
        steps.assert_counted_once(agent_id, [before])
        outputs, token = dict(mesh.outputs), mesh.token()
        mesh.restart()
        assert mesh.outputs == outputs
        assert mesh.call("GET", f"{TENANT}/runs/{before['run_id']}", token=token).body["run"] == before
        after = steps.submit(agent_id, "After [[tokens 20]]")
        ended = steps.wait_for_end(after["run_id"])
        steps.assert_counted_once(agent_id, [before, ended])
