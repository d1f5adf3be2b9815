"""A request repeated with its Idempotency-Key after a day is another run and is counted."""

from datetime import timedelta

from services.runs.budgets.domain import Reservation
from services.runs.execution.operations.tool_outputs import submit_tool_outputs
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.run import CallId
from shared.ids import new_id
from shared.meters import Meter
from shared.storage.idempotency import IdempotencyKey
from tests.services.runs.budgets.fixtures import LIMIT, TOOL, budget_of, left_of, limit
from tests.services.runs.conftest import World, know_version
from tests.services.runs.examples import NOW, TENANT
from tests.services.runs.workers import LATER, ScriptedModel, access, execute, planner_of, submit

NEXT_DAY = LATER + timedelta(hours=24, minutes=1)
ANSWER = [TextDelta("x"), StreamEnd({Meter.TOKENS_IN: 600, Meter.TOKENS_OUT: 900})]


def test_runs_of_one_key_on_different_days_share_no_reservation(world: World) -> None:
    limit(world)
    version = know_version(world, 2, tools=[{"name": "weather"}])
    runs = [
        execute(
            world,
            submit(
                world,
                version=version,
                idempotency_key=IdempotencyKey(TENANT, "user:1 POST runs", "daily", "body", now),
                now=now,
            ),
            ScriptedModel([TOOL]),
        )
        for now in (LATER, NEXT_DAY)
    ]
    for run in runs:
        submit_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), run.run_id, {"call_1": "1"}, now=NEXT_DAY
        )
    assert {held.call.run_id for held in budget_of(world).open.values()} == {run.run_id for run in runs}
    done = [execute(world, run, ScriptedModel([ANSWER])) for run in runs]
    assert LIMIT - left_of(world).tokens == sum(call.spent_tokens for run in done for call in run.calls)


def test_reservation_name_is_stable_within_an_hour_and_differs_after_a_day() -> None:
    def name(after: timedelta) -> str:
        return Reservation(CallId(new_id("run", NOW + after, entropy=lambda _: 7), 1, 1), 5, 0).name

    assert name(timedelta(minutes=5)) == name(timedelta())
    assert name(timedelta(hours=24)) != name(timedelta())
