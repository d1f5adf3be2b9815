"""Functions are killed before and after every step; whatever happens, runs end, and the ledger tells the truth.

A clean run records the steps: calls to the database and the bucket, what is sent to the model and each piece that is
heard, the invocation of a worker. Then it is done again, once for each step and moment. After that some hours of the
reaper, of living workers and of a client that goes on must bring everything to its end.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from services.runs.domain.run import Status
from tests.services.runs.kills.fate import Fate, Moment
from tests.services.runs.kills.functions import Functions
from tests.services.runs.kills.provider import Provider
from tests.services.runs.kills.scenarios import OUTPUTS, SCENARIOS, Scenario
from tests.services.runs.kills.truth import Truth

WRITES = frozenset({"update_item", "transact_write_items", "put_object", "delete_objects"})
ROUNDS = 8
"""Of the reaper and everybody else; then it is over, or it never will be."""


def live(scenario: Scenario, fate: Fate) -> Functions:
    """The scenario, and then the time in which everything must come to its end."""
    made: list[Functions] = []
    provider = Provider(scenario.scripts(lambda: made[0]))
    functions = Functions(
        provider, fate, {"model": "gpt-4", **scenario.config}, concurrent_runs=scenario.concurrent_runs
    )
    made.append(functions)
    scenario.act(functions)
    functions.fate = Fate()
    rounds = 0
    while rounds < ROUNDS and not functions.are_done:
        _go_on(functions, after=scenario.rounds_take, has_client=scenario.has_client)
        rounds += 1
    return functions


def _go_on(functions: Functions, *, after: timedelta, has_client: bool) -> None:
    functions.clock.now += after
    functions.look()
    functions.publish()
    functions.work()
    for run in functions.all_runs():
        if has_client and run.status is Status.REQUIRES_ACTION:
            functions.hand_in(run.run_id, OUTPUTS)
    functions.publish()


def _fates(steps: Sequence[str]) -> Iterator[Fate]:
    for at, step in enumerate(steps, start=1):
        yield Fate(at, Moment.BEFORE)
        yield Fate(at, Moment.AFTER)
        if step in WRITES:
            yield Fate(at, Moment.UNHEARD)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_function_that_is_killed_at_any_step_leaves_the_truth(name: str) -> None:
    scenario = SCENARIOS[name]
    clean = Fate()
    living = live(scenario, clean)
    Truth.of(living).check()
    assert [run.status for run in living.all_runs()] == ([scenario.ends] * scenario.runs if scenario.ends else [])
    fates = list(_fates(clean.steps))
    for fate in fates:
        try:
            Truth.of(live(scenario, fate)).check()
        except AssertionError as error:
            error.add_note(f"{fate.moment} step {fate.at}, {clean.steps[fate.at - 1]}")
            raise
    print(f"\n{name}: {len(fates)} deaths and lost answers at {len(clean.steps)} steps")  # noqa: T201 — the count belongs to the proof
