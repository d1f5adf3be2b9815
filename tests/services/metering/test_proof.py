"""Small proofs of counting. `make prove` runs the large ones."""

import pytest

from tests.dynamodb.faults import Fault
from tests.services.metering.proof import ProofPlan, in_memory


@pytest.mark.parametrize("seed", [1, 2])
def test_every_event_is_counted_once_despite_every_fault(seed: int) -> None:
    result = in_memory(ProofPlan(events=2_000, seed=seed), rate=0.1)
    assert result.drift == 0
    assert result.unique == 2_000
    assert result.conflicts_quarantined == len(result.conflicting) > 0
    assert result.corrections > 0
    assert {fault for fault, number in result.faults.items() if number} == set(Fault)
    assert result.holds


def test_the_same_seed_gives_the_same_result() -> None:
    first, second = (in_memory(ProofPlan(events=200, seed=3)) for _ in range(2))
    assert (first.deliveries, first.crashes, first.faults) == (
        second.deliveries,
        second.crashes,
        second.faults,
    )


def test_nothing_crashes_without_faults() -> None:
    result = in_memory(ProofPlan(events=200, seed=4), rate=0)
    assert (result.crashes, result.holds) == (0, True)
