"""While one tenant attacks, the work of three others has the same results. All responses are documented."""

import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest

from shared.plans import Plan
from tests.bulkheads.attacks import ATTACKS, DOCUMENTED, Attack
from tests.bulkheads.hostile import hostile_server
from tests.bulkheads.misuse import MISUSES
from tests.bulkheads.tenant import Tenant, Work, work_together
from tests.journeys.steps import Steps, wait_for
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

VICTIMS = 3
SEEDS = range(int(os.environ.get("BULKHEAD_SEEDS", "1")))
"""The seeds of the fuzzed attacks. `make prove` has more."""


@pytest.fixture(scope="module", name="victims")
def create_victims(mesh: Mesh) -> list[Tenant]:
    return [Tenant.create(mesh, "victim") for _ in range(VICTIMS)]


@pytest.fixture(scope="module", name="baseline")
def work_in_peace(victims: list[Tenant]) -> list[Work]:
    """Return the results of the second execution, when every function is warm."""
    work_together(victims)
    return work_together(victims)


@pytest.fixture(name="base_url")
def serve() -> Generator[str]:
    with hostile_server() as base_url:
        yield base_url


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("attack", [*ATTACKS, *MISUSES], ids=lambda attack: attack.name)
def test_victims_are_not_affected(
    mesh: Mesh, victims: list[Tenant], baseline: list[Work], base_url: str, attack: Attack, seed: int
) -> None:
    attacker = Tenant.create(mesh, "attacker", plan=Plan.FREE)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(lambda: list(attack.begin(attacker, base_url, seed)))
        during = [work_together(victims)]
        while not under_way.done() and len(during) < 3:
            during.append(work_together(victims))
        answers = under_way.result()
    for works in during:
        assert [one.facts for one in works] == [one.facts for one in baseline]
    assert {answer.status for answer in answers} <= DOCUMENTED, [a for a in answers if a.status not in DOCUMENTED][:3]
    slower = {
        name: _slowdown(name, baseline, [one for works in during for one in works]) for name in baseline[0].seconds
    }
    print(f"{attack.name}: {len(answers)} requests; victims take {slower} times as long")  # noqa: T201 — a figure


def test_nothing_is_left_in_dead_letters(mesh: Mesh) -> None:
    steps = Steps(mesh)
    wait_for(steps.queues_are_empty, description="all queues are empty", timeout_s=180)
    assert steps.dead_letters() == {}


def _slowdown(name: str, before: list[Work], during: list[Work]) -> float:
    return round(median(one.seconds[name] for one in during) / median(one.seconds[name] for one in before), 1)
