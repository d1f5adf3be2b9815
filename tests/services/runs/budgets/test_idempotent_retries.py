"""The same request with the same Idempotency-Key on the next day is another run, and counted as such."""

from datetime import timedelta

from services.runs.domain.budget import Reservation
from services.runs.domain.run import CallId
from services.runs.gateways.model import Ended, Text
from services.runs.operations.steering import hand_in_tool_outputs
from shared.ids import new_id
from shared.meters import Meter
from shared.storage.idempotency import Once
from tests.services.runs.budgeted import LIMIT, TOOL, budget_of, left_of, limit
from tests.services.runs.conftest import World, know_version
from tests.services.runs.runs import NOW, TENANT
from tests.services.runs.work import LATER, ScriptedModel, access, execute, planner_of, submit

NEXT_DAY = LATER + timedelta(hours=24, minutes=1)
ANSWER = [Text("x"), Ended({Meter.TOKENS_IN: 600, Meter.TOKENS_OUT: 900})]


def test_two_runs_of_one_key_share_no_reservation(world: World) -> None:
    limit(world)
    version = know_version(world, 2, tools=[{"name": "weather"}])
    runs = [
        execute(
            world,
            submit(world, version=version, once=Once(TENANT, "user:1 POST runs", "daily", "body", now), now=now),
            ScriptedModel([TOOL]),
        )
        for now in (LATER, NEXT_DAY)
    ]
    for run in runs:
        hand_in_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), run.run_id, {"call_1": "1"}, now=NEXT_DAY
        )
    assert {held.call.run_id for held in budget_of(world).open.values()} == {run.run_id for run in runs}
    done = [execute(world, run, ScriptedModel([ANSWER])) for run in runs]
    assert LIMIT - left_of(world).tokens == sum(call.spent_tokens for run in done for call in run.calls)


def test_the_name_of_a_reservation_is_found_again_within_the_hour_and_never_after_a_day() -> None:
    def name(after: timedelta) -> str:
        return Reservation(CallId(new_id("run", NOW + after, entropy=lambda _: 7), 1, 1), 5, 0).name

    assert name(timedelta(minutes=5)) == name(timedelta())
    assert name(timedelta(hours=24)) != name(timedelta())
