"""Calls are made within what their tenant may use: what is reserved, for whom, and when it is refused."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.runs.domain.budget import Spent
from services.runs.domain.run import CallId, LimitedBy, Run, Status
from services.runs.errors import LeaseLost, RequestsUsedUp, TokensUsedUp
from services.runs.gateways.model import Counted
from services.runs.operations.steering import cancel_run, hand_in_tool_outputs
from services.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable, IdempotencyKeyReused
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.meters import Meter
from shared.storage.idempotency import AlreadyDone
from shared.storage.items import Item
from tests.services.runs.budgeted import (
    ANSWER,
    BUSY,
    CUT,
    DECEMBER,
    LAST_OF_NOVEMBER,
    LIMIT,
    ONE_INPUT,
    TOOL,
    Unreadable,
    bound_of,
    budget_of,
    crash_after_reserving,
    left_of,
    limit,
    once,
)
from tests.services.runs.conftest import World, know_version
from tests.services.runs.runs import TENANT
from tests.services.runs.work import LATER, ScriptedModel, access, due_runs, execute, planner_of, submit


class TestPost:
    def test_holds_one_request_and_the_bound_until_the_run_has_ended(self, world: World) -> None:
        limit(world)
        run = submit(world)
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))
        execute(world, run, ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(99, LIMIT - 9)
        assert budget_of(world).open == {}

    def test_is_refused_when_not_even_the_input_fits(self, world: World) -> None:
        limit(world, 500)
        with pytest.raises(TokensUsedUp) as refused:
            submit(world)
        assert refused.value.resets_at == datetime(2026, 12, 1, tzinfo=UTC)

    def test_is_refused_when_the_requests_are_used_up(self, world: World) -> None:
        limit(world, requests=2)
        for _ in range(2):
            submit(world)
        with pytest.raises(RequestsUsedUp):
            submit(world)

    def test_clamps_the_cap_and_says_so(self, world: World) -> None:
        limit(world, 2_000)
        run = submit(world)
        assert run.open_call is not None
        assert (run.limited_by, run.open_call.max_output_tokens) == (LimitedBy.BUDGET, 256)
        models = ScriptedModel([ANSWER])
        assert execute(world, run, models).limited_by is LimitedBy.BUDGET
        assert models.requests[0].max_output_tokens == 256

    def test_gives_more_than_an_eighth_to_a_run_that_asks_for_it(self, world: World) -> None:
        limit(world, 20_000)
        run = submit(world, max_output_tokens=10_000)
        assert run.open_call is not None
        assert (run.limited_by, run.open_call.max_output_tokens) == (None, 10_000)

    def test_is_not_limited_without_a_limit_but_counted(self, world: World) -> None:
        limit(world, -1, requests=-1)
        execute(world, submit(world), ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(-1, -9)

    def test_goes_on_above_the_limit_where_the_tenant_allows_that(self, world: World) -> None:
        limit(world, 5, requests=0, overage="allow")
        run = submit(world)
        execute(world, run, ScriptedModel([ANSWER]))
        assert (run.limited_by, left_of(world)) == (None, Spent(-1, -4))

    def test_is_refused_when_nobody_knows_what_is_left(self, world: World) -> None:
        with pytest.raises(DependencyUnavailable):
            submit(replace(world, budgets=Unreadable(world.store)))
        assert due_runs(world, now=LATER + timedelta(days=1)) == []


class TestSentAgain:
    def test_goes_on_with_what_was_reserved_under_the_same_id(self, world: World) -> None:
        limit(world, ONE_INPUT + 200)
        crash_after_reserving(world, once())
        held = left_of(world)
        run = submit(world, once=once(), now=LATER + timedelta(seconds=9))
        assert left_of(world) == held
        [reservation] = budget_of(world).open.values()
        assert reservation.call.run_id == run.run_id
        assert bound_of(run) == reservation.tokens
        execute(world, run, ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(99, ONE_INPUT + 200 - 9)

    def test_reserves_by_itself_for_another_body_and_gives_that_back_when_it_is_refused(self, world: World) -> None:
        limit(world)
        run = submit(world, once=once("a"))
        with pytest.raises(IdempotencyKeyReused):
            submit(world, once=once("b"))
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_leaves_the_run_that_was_first_what_it_has(self, world: World) -> None:
        limit(world)
        run = submit(world, once=once())
        with pytest.raises(AlreadyDone, match=run.run_id):
            submit(world, once=once(), now=LATER + timedelta(seconds=1))
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_gives_back_what_it_has_reserved_when_the_first_one_is_settled(self, world: World) -> None:
        limit(world)
        run = submit(world, once=once())
        execute(world, run, ScriptedModel([ANSWER]))
        with pytest.raises(AlreadyDone, match=run.run_id):
            submit(world, once=once(), now=LATER + timedelta(seconds=1))
        assert left_of(world) == Spent(99, LIMIT - 9)


class TestFurtherCalls:
    def test_reserve_for_themselves(self, world: World) -> None:
        limit(world)
        seen: list[Spent] = []
        scripts = [[lambda: seen.append(left_of(world)), BUSY], [lambda: seen.append(left_of(world)), *ANSWER]]
        run = submit(world)
        execute(world, run, ScriptedModel(scripts))
        assert seen == [Spent(99, LIMIT - bound_of(run))] * 2
        assert left_of(world) == Spent(99, LIMIT - 9)

    def test_keep_what_is_not_known_as_spent(self, world: World) -> None:
        limit(world)
        run = submit(world)
        execute(world, run, ScriptedModel([[Counted({Meter.TOKENS_IN: 7}), CUT], ANSWER]))
        assert left_of(world) == Spent(99, LIMIT - bound_of(run) - 9)

    def test_end_the_run_when_too_little_is_left(self, world: World) -> None:
        limit(world, 1_500)
        run = submit(world, max_output_tokens=100_000)
        done = execute(world, run, ScriptedModel([[CUT], ANSWER]))
        assert done.error is not None
        assert (done.status, done.error.code, len(done.calls)) == (Status.FAILED, "LimitReached", 1)
        assert left_of(world) == Spent(99, 0)

    def test_that_a_cancellation_comes_before_take_nothing(self, world: World) -> None:
        limit(world)
        run = submit(world)
        reads: list[str] = []

        def cancel_while_planning(tenant_id: str) -> None:
            reads.append(tenant_id)
            cancel_run(world.runs, world.budgets, TENANT, run.run_id, now=LATER, if_match=None)

        done = execute(world, run, ScriptedModel([[BUSY], ANSWER]), on_access=cancel_while_planning)
        assert (done.status, len(done.calls), len(reads)) == (Status.CANCELLED, 1, 1)
        assert left_of(world) == Spent(99, LIMIT)
        assert budget_of(world).open == {}

    def test_see_a_plan_that_has_become_smaller(self, world: World) -> None:
        limit(world)
        run = submit(world)
        script = [[lambda: limit(world, 1_000, seq=3), BUSY], ANSWER]
        done = execute(world, run, ScriptedModel(script))
        assert (done.status, done.limited_by) == (Status.COMPLETED, LimitedBy.BUDGET)
        assert left_of(world) == Spent(99, 1_000 - 9)

    def test_see_a_plan_that_has_become_larger(self, world: World) -> None:
        limit(world, 1_500)
        script = [[lambda: limit(world, LIMIT, seq=3), CUT], ANSWER]
        run = submit(world, max_output_tokens=100_000)
        assert execute(world, run, ScriptedModel(script)).status is Status.COMPLETED
        assert left_of(world) == Spent(99, LIMIT - 1_500 - 9)

    def test_belong_to_the_month_of_their_reservation(self, world: World) -> None:
        limit(world)
        run = submit(world, now=LAST_OF_NOVEMBER)
        ticks: Iterator[datetime] = iter([LAST_OF_NOVEMBER] * 2 + [DECEMBER] * 50)
        done = execute(world, run, ScriptedModel([[BUSY], ANSWER]), clock=ticks)
        assert [call.period for call in done.calls] == ["2026-11", "2026-12"]
        assert left_of(world) == Spent(99, LIMIT)
        assert left_of(world, "2026-12") == Spent(100, LIMIT - 9)


class TestTools:
    def _waiting(self, world: World) -> Run:
        version = know_version(world, 2, tools=[{"name": "weather"}])
        return execute(world, submit(world, version=version), ScriptedModel([TOOL]))

    def _hand_in(self, world: World, run: Run, output: str = "rain", *, now: datetime = LATER) -> Run:
        outputs = {"call_1": output}
        return hand_in_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), run.run_id, outputs, now=now
        )

    def test_hold_nothing_while_they_are_executed(self, world: World) -> None:
        limit(world)
        self._waiting(world)
        assert left_of(world) == Spent(99, LIMIT - 9)

    def test_reserve_anew_with_their_outputs_once(self, world: World) -> None:
        limit(world)
        waiting = self._waiting(world)
        again = [self._hand_in(world, waiting) for _ in range(2)]
        assert left_of(world) == Spent(99, LIMIT - 9 - bound_of(again[0]))
        assert again[0].open_call_id == CallId(waiting.run_id, 2, 1)
        execute(world, again[0], ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(99, LIMIT - 18)

    def test_whose_next_call_does_not_fit_wait_for_the_same_outputs_still(self, world: World) -> None:
        limit(world)
        waiting = self._waiting(world)
        limit(world, 100, seq=3)
        with pytest.raises(TokensUsedUp):
            self._hand_in(world, waiting)
        limit(world, seq=4)
        assert self._hand_in(world, waiting).status is Status.QUEUED

    def test_that_were_handed_in_by_another_request_first_take_nothing_more(self, world: World) -> None:
        limit(world)
        waiting = self._waiting(world)

        class Overtaken(RunTable):
            """Another request is faster, and its run is over already."""

            overtaken = False

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **_: bool) -> Item:
                super().save(before, after, events)
                execute(world, after, ScriptedModel([ANSWER]))
                raise LeaseLost

        table = Overtaken(world.store, world.runs._payloads)  # pyright: ignore[reportPrivateUsage]  # the same ones
        self._hand_in(replace(world, runs=table), waiting)
        assert left_of(world) == Spent(99, LIMIT - 18)
        assert budget_of(world).open == {}
