"""Each of many clients that wait for their runs concurrently, on two cores, receives a response with its run's id."""

from collections import Counter

import pytest

from shared.plans import Plan
from tests.bulkheads.attacks import together
from tests.bulkheads.tenant import Tenant
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

CLIENTS = 32
RUNS = 150


def test_every_waiting_client_gets_an_answer_with_the_id_of_its_run(mesh: Mesh) -> None:
    tenant = Tenant.create(mesh, "waiting", plan=Plan.ENTERPRISE)
    answers = together([lambda: tenant.submit("wait [[tokens 20]]", wait_s=25)] * RUNS, at_once=CLIENTS)
    assert {answer.status for answer in answers} <= {201, 202}, Counter(answer.status for answer in answers)
    runs = [tenant.final(answer.body["run"]["run_id"]) for answer in answers]
    assert Counter((run["status"], len(run["attempts"])) for run in runs) == {("completed", 1): RUNS}
    assert sum(run["usage"]["tokens_uncertain"] for run in runs) == 0
