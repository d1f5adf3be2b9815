"""Functions are killed before and after every step. Runs still end, and the ledger is correct.

A run without a crash records the steps: calls to the database and the bucket, requests to the model, each piece of a
response, and the invocation of a worker. The run is then repeated with a crash before and after each step. After a few
hours of the reaper, of other workers and of the client, everything must have ended.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from services.runs.runs.domain.run import Status
from tests.services.runs.kills.fate import Fate, Moment
from tests.services.runs.kills.functions import Functions
from tests.services.runs.kills.provider import Provider
from tests.services.runs.kills.scenarios import OUTPUTS, SCENARIOS, Scenario
from tests.services.runs.kills.truth import Truth

WRITES = frozenset({"update_item", "transact_write_items", "put_object", "delete_objects"})
ROUNDS = 8
"""The maximum number of rounds until no work is left."""


def live(scenario: Scenario, fate: Fate) -> Functions:
    """Execute the scenario, then all work that is left."""
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
def test_killing_a_function_at_any_step_keeps_all_promises(name: str) -> None:
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
