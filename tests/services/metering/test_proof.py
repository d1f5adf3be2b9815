"""The proof of counting, small enough for every day; `make prove` runs the large ones."""

import pytest

from tests.dynamodb.faults import Fault
from tests.services.metering.proof import Plan, in_memory


@pytest.mark.parametrize("seed", [1, 2])
def test_every_event_is_counted_once_through_every_fault(seed: int) -> None:
    result = in_memory(Plan(events=2_000, seed=seed), rate=0.1)
    assert result.drift == 0
    assert result.unique == 2_000
    assert result.conflicts_kept == len(result.contradicted) > 0
    assert result.corrections > 0
    assert {fault for fault, number in result.faults.items() if number} == set(Fault)
    assert result.holds


def test_the_same_seed_does_the_same() -> None:
    once, again = (in_memory(Plan(events=200, seed=3)) for _ in range(2))
    assert (once.deliveries, once.crashes, once.faults) == (again.deliveries, again.crashes, again.faults)


def test_without_faults_nothing_breaks_off() -> None:
    result = in_memory(Plan(events=200, seed=4), rate=0)
    assert (result.crashes, result.holds) == (0, True)
