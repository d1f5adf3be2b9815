"""Reservation of calls within the tenant's limits."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.runs.budgets.domain import Spent
from services.runs.errors import LeaseLost, RequestsUsedUp, TokensUsedUp
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.tool_outputs import submit_tool_outputs
from services.runs.providers.domain.model import UsageUpdate
from services.runs.runs.domain.run import CallId, LimitedBy, Run, Status
from services.runs.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable, IdempotencyKeyReused
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.meters import Meter
from shared.storage.idempotency import AlreadyDone
from shared.storage.items import Item
from tests.services.runs.budgets.fixtures import (
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
    idempotency_key,
    left_of,
    limit,
)
from tests.services.runs.conftest import World, know_version
from tests.services.runs.examples import TENANT
from tests.services.runs.workers import LATER, ScriptedModel, access, due_runs, execute, planner_of, submit


class TestPost:
    def test_reserves_one_request_and_the_bound_until_the_run_ends(self, world: World) -> None:
        limit(world)
        run = submit(world)
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))
        execute(world, run, ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(99, LIMIT - 9)
        assert budget_of(world).open == {}

    def test_refuses_when_the_input_does_not_fit(self, world: World) -> None:
        limit(world, 500)
        with pytest.raises(TokensUsedUp) as refused:
            submit(world)
        assert refused.value.resets_at == datetime(2026, 12, 1, tzinfo=UTC)

    def test_refuses_when_no_request_is_left(self, world: World) -> None:
        limit(world, requests=2)
        for _ in range(2):
            submit(world)
        with pytest.raises(RequestsUsedUp):
            submit(world)

    def test_clamps_the_cap_and_reports_limited_by(self, world: World) -> None:
        limit(world, 2_000)
        run = submit(world)
        assert run.open_call is not None
        assert (run.limited_by, run.open_call.max_output_tokens) == (LimitedBy.BUDGET, 256)
        models = ScriptedModel([ANSWER])
        assert execute(world, run, models).limited_by is LimitedBy.BUDGET
        assert models.requests[0].max_output_tokens == 256

    def test_grants_more_than_an_eighth_to_an_explicit_cap(self, world: World) -> None:
        limit(world, 20_000)
        run = submit(world, max_output_tokens=10_000)
        assert run.open_call is not None
        assert (run.limited_by, run.open_call.max_output_tokens) == (None, 10_000)

    def test_counts_usage_without_a_limit(self, world: World) -> None:
        limit(world, -1, requests=-1)
        execute(world, submit(world), ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(-1, -9)

    def test_exceeds_the_limit_if_overage_is_allowed(self, world: World) -> None:
        limit(world, 5, requests=0, overage="allow")
        run = submit(world)
        execute(world, run, ScriptedModel([ANSWER]))
        assert (run.limited_by, left_of(world)) == (None, Spent(-1, -4))

    def test_refuses_when_the_budget_cannot_be_read(self, world: World) -> None:
        with pytest.raises(DependencyUnavailable):
            submit(replace(world, budgets=Unreadable(world.store, TENANT)))
        assert due_runs(world, now=LATER + timedelta(days=1)) == []


class TestIdempotentRetry:
    def test_reuses_the_reservation_and_run_id(self, world: World) -> None:
        limit(world, ONE_INPUT + 200)
        crash_after_reserving(world, idempotency_key())
        held = left_of(world)
        run = submit(world, idempotency_key=idempotency_key(), now=LATER + timedelta(seconds=9))
        assert left_of(world) == held
        [reservation] = budget_of(world).open.values()
        assert reservation.call.run_id == run.run_id
        assert bound_of(run) == reservation.tokens
        execute(world, run, ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(99, ONE_INPUT + 200 - 9)

    def test_reserves_separately_for_another_body_and_releases_it_on_refusal(self, world: World) -> None:
        limit(world)
        run = submit(world, idempotency_key=idempotency_key("a"))
        with pytest.raises(IdempotencyKeyReused):
            submit(world, idempotency_key=idempotency_key("b"))
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_keeps_the_reservation_of_the_first_run(self, world: World) -> None:
        limit(world)
        run = submit(world, idempotency_key=idempotency_key())
        with pytest.raises(AlreadyDone, match=run.run_id):
            submit(world, idempotency_key=idempotency_key(), now=LATER + timedelta(seconds=1))
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_releases_its_own_reservation_when_the_first_is_settled(self, world: World) -> None:
        limit(world)
        run = submit(world, idempotency_key=idempotency_key())
        execute(world, run, ScriptedModel([ANSWER]))
        with pytest.raises(AlreadyDone, match=run.run_id):
            submit(world, idempotency_key=idempotency_key(), now=LATER + timedelta(seconds=1))
        assert left_of(world) == Spent(99, LIMIT - 9)


class TestFurtherCalls:
    def test_reserve_separately(self, world: World) -> None:
        limit(world)
        seen: list[Spent] = []
        scripts = [[lambda: seen.append(left_of(world)), BUSY], [lambda: seen.append(left_of(world)), *ANSWER]]
        run = submit(world)
        execute(world, run, ScriptedModel(scripts))
        assert seen == [Spent(99, LIMIT - bound_of(run))] * 2
        assert left_of(world) == Spent(99, LIMIT - 9)

    def test_keep_uncertain_usage_deducted(self, world: World) -> None:
        limit(world)
        run = submit(world)
        execute(world, run, ScriptedModel([[UsageUpdate({Meter.TOKENS_IN: 7}), CUT], ANSWER]))
        assert left_of(world) == Spent(99, LIMIT - bound_of(run) - 9)

    def test_end_the_run_when_too_little_is_left(self, world: World) -> None:
        limit(world, 1_500)
        run = submit(world, max_output_tokens=100_000)
        done = execute(world, run, ScriptedModel([[CUT], ANSWER]))
        assert done.error is not None
        assert (done.status, done.error.code, len(done.calls)) == (Status.FAILED, "LimitReached", 1)
        assert left_of(world) == Spent(99, 0)

    def test_reserve_nothing_after_a_cancellation(self, world: World) -> None:
        limit(world)
        run = submit(world)
        reads: list[str] = []

        def cancel_while_planning(tenant_id: str) -> None:
            reads.append(tenant_id)
            cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)

        done = execute(world, run, ScriptedModel([[BUSY], ANSWER]), on_access=cancel_while_planning)
        assert (done.status, len(done.calls), len(reads)) == (Status.CANCELLED, 1, 1)
        assert left_of(world) == Spent(99, LIMIT)
        assert budget_of(world).open == {}

    def test_apply_a_smaller_plan(self, world: World) -> None:
        limit(world)
        run = submit(world)
        script = [[lambda: limit(world, 1_000, seq=3), BUSY], ANSWER]
        done = execute(world, run, ScriptedModel(script))
        assert (done.status, done.limited_by) == (Status.COMPLETED, LimitedBy.BUDGET)
        assert left_of(world) == Spent(99, 1_000 - 9)

    def test_apply_a_larger_plan(self, world: World) -> None:
        limit(world, 1_500)
        script = [[lambda: limit(world, LIMIT, seq=3), CUT], ANSWER]
        run = submit(world, max_output_tokens=100_000)
        assert execute(world, run, ScriptedModel(script)).status is Status.COMPLETED
        assert left_of(world) == Spent(99, LIMIT - 1_500 - 9)

    def test_settle_in_the_month_of_their_reservation(self, world: World) -> None:
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
        return submit_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), run.run_id, outputs, now=now
        )

    def test_hold_no_reservation_while_they_execute(self, world: World) -> None:
        limit(world)
        self._waiting(world)
        assert left_of(world) == Spent(99, LIMIT - 9)

    def test_reserve_once_when_outputs_are_submitted(self, world: World) -> None:
        limit(world)
        waiting = self._waiting(world)
        again = [self._hand_in(world, waiting) for _ in range(2)]
        assert left_of(world) == Spent(99, LIMIT - 9 - bound_of(again[0]))
        assert again[0].open_call_id == CallId(waiting.run_id, 2, 1)
        execute(world, again[0], ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(99, LIMIT - 18)

    def test_wait_for_the_same_outputs_if_the_next_call_does_not_fit(self, world: World) -> None:
        limit(world)
        waiting = self._waiting(world)
        limit(world, 100, seq=3)
        with pytest.raises(TokensUsedUp):
            self._hand_in(world, waiting)
        limit(world, seq=4)
        assert self._hand_in(world, waiting).status is Status.QUEUED

    def test_reserve_nothing_for_outputs_that_another_request_submitted(self, world: World) -> None:
        limit(world)
        waiting = self._waiting(world)

        class Overtaken(RunTable):
            """A run table in which another request is faster and its run has ended."""

            overtaken = False

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **_: Any) -> Item:  # noqa: ANN401 — the options of `RunTable.save`
                super().save(before, after, events)
                execute(world, after, ScriptedModel([ANSWER]))
                raise LeaseLost

        table = Overtaken(world.store, TENANT, world.runs.payloads)
        self._hand_in(replace(world, runs=table), waiting)
        assert left_of(world) == Spent(99, LIMIT - 18)
        assert budget_of(world).open == {}
