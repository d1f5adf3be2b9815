"""The slots of a tenant: executing runs, waiting runs and their order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.runs.budgets.domain import Spent
from services.runs.errors import RunAlreadyEnded, TokensUsedUp, TooManyWaitingRuns
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.tool_outputs import submit_tool_outputs
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.runs import RunTable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.storage.idempotency import AlreadyDone
from shared.storage.items import Item
from tests.services.runs.budgets.fixtures import ANSWER, TOOL, budget_of, idempotency_key, left_of, limit
from tests.services.runs.budgets.slots import EXECUTES, WAITS, Forgetful, cancel, in_order, published, slots_of, state
from tests.services.runs.conftest import World, know_tenant, know_version
from tests.services.runs.examples import TENANT
from tests.services.runs.workers import LATER, ScriptedModel, access, acquire_lease, execute, planner_of, reaped, submit


class TestPost:
    def test_executes_as_many_runs_as_the_plan_allows_and_queues_the_others(self, world: World) -> None:
        limit(world, max_concurrent_runs=2)
        runs = in_order(world, 4)
        assert [state(world, run) for run in runs] == [EXECUTES, EXECUTES, WAITS, WAITS]
        assert published(world) == [run.run_id for run in runs[:2]]
        slots = slots_of(world)
        assert (set(slots.executing), slots.waiting) == ({run.run_id for run in runs[:2]}, 2)

    def test_reserves_nothing_for_a_waiting_run(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world)
        left = left_of(world)
        waiting = submit(world)
        assert (waiting.open_call, waiting.due_at, left_of(world)) == (None, None, left)

    def test_refuses_when_twenty_runs_per_slot_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        for _ in range(21):
            submit(world)
        with pytest.raises(TooManyWaitingRuns) as refused:
            submit(world)
        assert refused.value.retry_after_s == 10
        assert slots_of(world).waiting == 20

    def test_refuses_a_run_that_exceeds_the_budget_even_if_it_would_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world)
        limit(world, 500, seq=3, max_concurrent_runs=1)
        with pytest.raises(TokensUsedUp):
            submit(world)

    def test_does_not_let_a_new_run_overtake_waiting_runs(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        with_a_crash = replace(world, budgets=Forgetful(world.store, TENANT))
        execute(with_a_crash, first, ScriptedModel([ANSWER]))
        third = submit(world, now=LATER + timedelta(seconds=1))
        assert [state(world, run) for run in (second, third)] == [EXECUTES, WAITS]

    def test_executes_a_request_with_an_idempotency_key_once_while_it_waits(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world)
        run = submit(world, idempotency_key=idempotency_key())
        with pytest.raises(AlreadyDone, match=run.run_id):
            submit(world, idempotency_key=idempotency_key())
        assert slots_of(world).waiting == 1

    def test_does_not_delay_other_tenants(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        know_tenant(world.store, "other", max_concurrent_runs=1)
        in_order(world, 3)
        held = world.all_budgets.of("other").find("2026-11")
        assert held is None
        other = world.all_budgets.of("other").slots.acquire("2026-11", "run_1", now=LATER, swept_at=LATER)
        assert other is not None
        assert other.month is None

    def test_never_exceeds_the_plan_under_concurrency(self, world: World) -> None:
        limit(world, max_concurrent_runs=3)
        runs = in_order(world, 12)
        for run in runs:
            execute(world, run, ScriptedModel([ANSWER]))
            assert len(slots_of(world).executing) <= 3
        assert all(state(world, run)[0] is Status.COMPLETED for run in runs)
        assert (slots_of(world).executing, slots_of(world).waiting) == ({}, 0)


class TestEnd:
    def test_starts_the_run_that_has_waited_longest(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second, third = in_order(world, 3)
        execute(world, first, ScriptedModel([ANSWER]))
        assert [state(world, run) for run in (second, third)] == [EXECUTES, WAITS]
        assert published(world) == [first.run_id, second.run_id]
        assert (set(slots_of(world).executing), slots_of(world).waiting) == ({second.run_id}, 1)
        started = world.runs.get(second.run_id)
        assert (started.due_at, started.slot_period) == (LATER + timedelta(seconds=20), "2026-11")

    def test_of_a_started_run_behaves_like_any_other(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        execute(world, first, ScriptedModel([ANSWER]))
        done = execute(world, second, ScriptedModel([ANSWER]))
        assert (done.status, done.attempt, [call.number for call in done.calls]) == (Status.COMPLETED, 1, [1])
        assert left_of(world) == Spent(98, 100_000 - 18)
        assert budget_of(world).open == {}

    def test_by_cancellation_starts_the_next_run(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        cancel(world, first)
        assert state(world, second) == EXECUTES

    def test_by_the_reaper_starts_the_next_run(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        now = LATER
        for _ in range(3):
            acquire_lease(world, first.run_id, now=now)
            now += timedelta(seconds=31)
            assert reaped(world, now=now) == 1
        assert state(world, first)[0] is Status.FAILED
        assert state(world, second) == EXECUTES

    def test_of_an_attempt_keeps_the_slot(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        acquire_lease(world, first.run_id, now=LATER)
        reaped(world, now=LATER + timedelta(seconds=31))
        assert [state(world, run) for run in (first, second)] == [EXECUTES, WAITS]

    def test_fails_the_next_run_without_budget_and_starts_the_one_after(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second, third = in_order(world, 3)
        limit(world, 100, seq=3, max_concurrent_runs=1)
        execute(world, first, ScriptedModel([ANSWER]))
        failed = execute(world, second, ScriptedModel([]))
        assert failed.error is not None
        assert (failed.status, failed.error.code) == (Status.FAILED, "LimitReached")
        assert state(world, third) == EXECUTES


class TestTools:
    def _waiting_for_tools(self, world: World) -> Run:
        version = know_version(world, 2, tools=[{"name": "weather"}])
        return execute(world, submit(world, version=version), ScriptedModel([TOOL]))

    def _hand_in(self, world: World, run: Run) -> Run:
        return submit_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), run.run_id, {"call_1": "rain"}, now=LATER
        )

    def test_hold_no_slot_while_they_execute(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        self._waiting_for_tools(world)
        assert slots_of(world).executing == {}
        assert state(world, submit(world)) == EXECUTES

    def test_wait_for_a_slot_with_their_outputs(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        asking = self._waiting_for_tools(world)
        other = submit(world)
        assert self._hand_in(world, asking).waits_for_slot
        assert self._hand_in(world, asking).waits_for_slot
        assert slots_of(world).waiting == 1
        execute(world, other, ScriptedModel([ANSWER]))
        done = execute(world, asking, ScriptedModel([ANSWER]))
        assert (done.status, done.attempt, slots_of(world).waiting) == (Status.COMPLETED, 2, 0)

    def test_ignore_an_old_message_while_waiting(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        asking = self._waiting_for_tools(world)
        submit(world)
        self._hand_in(world, asking)
        assert acquire_lease(world, asking.run_id, now=LATER) is None

    def test_leave_the_run_unchanged_when_too_many_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        asking = self._waiting_for_tools(world)
        for _ in range(21):
            submit(world)
        with pytest.raises(TooManyWaitingRuns):
            self._hand_in(world, asking)
        assert state(world, asking)[0] is Status.REQUIRES_ACTION


class TestCancel:
    def test_removes_a_waiting_run_from_the_queue(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second, third = in_order(world, 3)
        cancel(world, second)
        assert (state(world, second)[0], slots_of(world).waiting) == (Status.CANCELLED, 1)
        with pytest.raises(RunAlreadyEnded):
            cancel(world, second)
        execute(world, first, ScriptedModel([ANSWER]))
        assert state(world, third) == EXECUTES

    def test_leaves_no_slot_taken_when_it_races_with_a_start(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second, third = in_order(world, 3)

        class Late(RunTable):
            """A run that the client cancels after its slot was acquired."""

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **options: Any) -> Item:  # noqa: ANN401 — the options of `RunTable.save`
                if before.run_id == second.run_id:
                    cancel(world, second)
                return super().save(before, after, events, **options)

        table = Late(world.store, TENANT, world.runs.payloads)
        cancel_run(table, world.budgets, first.run_id, now=LATER, if_match=None)
        assert state(world, second)[0] is Status.CANCELLED
        assert state(world, third) == EXECUTES
        assert (set(slots_of(world).executing), slots_of(world).waiting) == ({third.run_id}, 0)


class TestSuspension:
    def test_ends_runs_before_they_start_without_cost(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        runs = in_order(world, 3)
        know_tenant(world.store, seq=9, status="suspended", max_concurrent_runs=1)
        models = ScriptedModel([])
        for run in runs:
            done = execute(world, run, models, status="suspended")
            assert done.error is not None
            assert (done.status, done.error.code, done.calls) == (Status.FAILED, "TenantSuspended", ())
        assert (models.requests, left_of(world)) == ([], Spent(100, 100_000))
        assert (slots_of(world).executing, slots_of(world).waiting) == ({}, 0)

    def test_by_deletion_ends_runs_as_cancelled(self, world: World) -> None:
        run = submit(world)
        assert execute(world, run, ScriptedModel([]), status="deleting").status is Status.CANCELLED
