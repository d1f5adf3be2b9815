"""A tenant's share of the workers: who executes, who waits in its tenant's own queue, and who is started when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.runs.domain.budget import Slots, Spent
from services.runs.domain.run import Run, Status
from services.runs.errors import RunAlreadyEnded, TokensUsedUp, TooManyWaitingRuns
from services.runs.operations.slots import dispatch_waiting
from services.runs.operations.steering import cancel_run, hand_in_tool_outputs
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from services.runs.table.slots import Freed, SlotTable
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.storage.idempotency import AlreadyDone
from shared.storage.items import Item
from tests.services.runs.budgeted import (
    ANSWER,
    DECEMBER,
    LAST_OF_NOVEMBER,
    TOOL,
    budget_of,
    left_of,
    limit,
    once,
    sweep_later,
)
from tests.services.runs.conftest import World, know_tenant, know_version
from tests.services.runs.runs import TENANT
from tests.services.runs.work import LATER, ScriptedModel, access, execute, outbox, planner_of, reaped, submit, take


def slots_of(world: World, period: str = "2026-11") -> Slots:
    slots = budget_of(world, period).slots
    assert slots is not None
    return slots


def state(world: World, run: Run) -> tuple[Status, bool]:
    """The status, and whether the run waits for a slot."""
    there = world.runs.get(TENANT, run.run_id)
    return there.status, there.waits_for_slot


def published(world: World) -> list[str]:
    """The runs that were put into the workers' queue."""
    return [name.split(":")[0] for name in outbox(world) if ":queued:" in name]


def in_order(world: World, count: int) -> list[Run]:
    """Runs of which each is younger than the one before."""
    return [submit(world, now=LATER + timedelta(milliseconds=number)) for number in range(count)]


def cancel(world: World, run: Run) -> None:
    cancel_run(world.runs, world.budgets, TENANT, run.run_id, now=LATER, if_match=None)


EXECUTES, WAITS = (Status.QUEUED, False), (Status.QUEUED, True)


class TestPost:
    def test_executes_as_many_as_the_plan_allows_and_lets_the_others_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=2)
        runs = in_order(world, 4)
        assert [state(world, run) for run in runs] == [EXECUTES, EXECUTES, WAITS, WAITS]
        assert published(world) == [run.run_id for run in runs[:2]]
        slots = slots_of(world)
        assert (set(slots.executing), slots.waiting) == ({run.run_id for run in runs[:2]}, 2)

    def test_reserves_nothing_for_a_run_that_waits(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world)
        left = left_of(world)
        waiting = submit(world)
        assert (waiting.open_call, waiting.due_at, left_of(world)) == (None, None, left)

    def test_refuses_when_twenty_times_as_many_wait_and_says_when_to_come_again(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        for _ in range(21):
            submit(world)
        with pytest.raises(TooManyWaitingRuns) as refused:
            submit(world)
        assert refused.value.retry_after_s == 10
        assert slots_of(world).waiting == 20

    def test_refuses_a_run_that_the_budget_does_not_allow_though_it_would_have_to_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world)
        limit(world, 500, seq=3, max_concurrent_runs=1)
        with pytest.raises(TokensUsedUp):
            submit(world)

    def test_lets_no_new_run_overtake_those_that_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        with_a_crash = replace(world, budgets=Forgetful(world.store))
        execute(with_a_crash, first, ScriptedModel([ANSWER]))
        third = submit(world, now=LATER + timedelta(seconds=1))
        assert [state(world, run) for run in (second, third)] == [EXECUTES, WAITS]

    def test_carries_out_a_request_with_a_key_once_though_it_waits(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world)
        run = submit(world, once=once())
        with pytest.raises(AlreadyDone, match=run.run_id):
            submit(world, once=once())
        assert slots_of(world).waiting == 1

    def test_holds_no_other_tenant_up(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        know_tenant(world.store, "other", max_concurrent_runs=1)
        in_order(world, 3)
        held = planner_of(world).budgets.find("other", "2026-11")
        assert held is None
        other = world.budgets.slots.acquire("other", "2026-11", "run_1", now=LATER, swept_at=LATER)
        assert other is not None
        assert other.month is None

    def test_at_once_is_never_more_than_the_plan_allows(self, world: World) -> None:
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
        started = world.runs.get(TENANT, second.run_id)
        assert (started.due_at, started.slot_period) == (LATER + timedelta(seconds=20), "2026-11")

    def test_of_a_run_that_waited_is_like_that_of_any_other(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        execute(world, first, ScriptedModel([ANSWER]))
        done = execute(world, second, ScriptedModel([ANSWER]))
        assert (done.status, done.attempt, [call.number for call in done.calls]) == (Status.COMPLETED, 1, [1])
        assert left_of(world) == Spent(98, 100_000 - 18)
        assert budget_of(world).open == {}

    def test_by_a_cancellation_starts_the_next(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        cancel(world, first)
        assert state(world, second) == EXECUTES

    def test_by_the_reaper_starts_the_next(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        now = LATER
        for _ in range(3):
            take(world, first.run_id, now=now)
            now += timedelta(seconds=31)
            assert reaped(world, now=now) == 1
        assert state(world, first)[0] is Status.FAILED
        assert state(world, second) == EXECUTES

    def test_of_an_attempt_keeps_the_slot_of_its_run(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        take(world, first.run_id, now=LATER)
        reaped(world, now=LATER + timedelta(seconds=31))
        assert [state(world, run) for run in (first, second)] == [EXECUTES, WAITS]

    def test_without_a_budget_for_the_next_fails_that_one_and_starts_the_one_after(self, world: World) -> None:
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
        return hand_in_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), run.run_id, {"call_1": "rain"}, now=LATER
        )

    def test_hold_no_slot_while_they_are_executed(self, world: World) -> None:
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

    def test_that_wait_are_not_begun_by_an_old_message(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        asking = self._waiting_for_tools(world)
        submit(world)
        self._hand_in(world, asking)
        assert take(world, asking.run_id, now=LATER) is None

    def test_that_are_too_many_leave_the_run_as_it_was(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        asking = self._waiting_for_tools(world)
        for _ in range(21):
            submit(world)
        with pytest.raises(TooManyWaitingRuns):
            self._hand_in(world, asking)
        assert state(world, asking)[0] is Status.REQUIRES_ACTION


class TestCancel:
    def test_of_a_run_that_waits_takes_it_out_of_the_queue(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second, third = in_order(world, 3)
        cancel(world, second)
        assert (state(world, second)[0], slots_of(world).waiting) == (Status.CANCELLED, 1)
        with pytest.raises(RunAlreadyEnded):
            cancel(world, second)
        execute(world, first, ScriptedModel([ANSWER]))
        assert state(world, third) == EXECUTES

    def test_that_comes_while_the_run_is_started_leaves_no_slot_behind(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second, third = in_order(world, 3)

        class Late(RunTable):
            """The client cancels after the slot was taken."""

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **options: bool) -> Item:
                if before.run_id == second.run_id:
                    cancel(world, second)
                return super().save(before, after, events, **options)

        table = Late(world.store, world.runs._payloads)  # pyright: ignore[reportPrivateUsage]  # the same ones
        cancel_run(table, world.budgets, TENANT, first.run_id, now=LATER, if_match=None)
        assert state(world, second)[0] is Status.CANCELLED
        assert state(world, third) == EXECUTES
        assert (set(slots_of(world).executing), slots_of(world).waiting) == ({third.run_id}, 0)


class TestSuspension:
    def test_ends_runs_before_they_begin_and_they_cost_nothing(self, world: World) -> None:
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

    def test_by_a_deletion_ends_them_as_cancelled(self, world: World) -> None:
        run = submit(world)
        assert execute(world, run, ScriptedModel([]), status="deleting").status is Status.CANCELLED


class TestPlan:
    def test_that_becomes_larger_starts_runs_that_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        runs = in_order(world, 4)
        limit(world, seq=3, max_concurrent_runs=3)
        sweep_later(world, after=timedelta(seconds=31))
        assert [state(world, run) for run in runs] == [EXECUTES, EXECUTES, EXECUTES, WAITS]

    def test_that_becomes_smaller_starts_none_until_few_enough_execute(self, world: World) -> None:
        limit(world, max_concurrent_runs=3)
        runs = in_order(world, 4)
        limit(world, seq=3, max_concurrent_runs=1)
        submit(world, now=LATER + timedelta(seconds=1))
        for run in runs[:2]:
            execute(world, run, ScriptedModel([ANSWER]))
            assert state(world, runs[3]) == WAITS
        execute(world, runs[2], ScriptedModel([ANSWER]))
        assert state(world, runs[3]) == EXECUTES

    @pytest.mark.parametrize(("own", "executing"), [(-1, 1_000), (7, 7)])
    def test_without_a_limit_has_that_of_one_item(self, world: World, own: int, executing: int) -> None:
        limit(world, max_concurrent_runs=own)
        submit(world)
        assert slots_of(world).limit == executing


class TestMonth:
    def test_that_is_new_counts_the_runs_that_still_execute(self, world: World) -> None:
        limit(world, max_concurrent_runs=2)
        old = [submit(world, now=LAST_OF_NOVEMBER) for _ in range(2)]
        new = submit(world, now=DECEMBER)
        assert [state(world, run) for run in (*old, new)] == [EXECUTES, EXECUTES, WAITS]
        assert (slots_of(world).moved_to, slots_of(world, "2026-12").waiting) == ("2026-12", 1)
        execute(world, old[0], ScriptedModel([ANSWER]), clock=iter([DECEMBER] * 20))
        assert state(world, new) == EXECUTES
        assert submit(world, now=DECEMBER).waits_for_slot

    def test_that_is_new_takes_over_those_that_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = (submit(world, now=LAST_OF_NOVEMBER) for _ in range(2))
        third = submit(world, now=DECEMBER)
        assert slots_of(world, "2026-12").waiting == 2
        for run in (first, second, third):
            execute(world, run, ScriptedModel([ANSWER]), clock=iter([DECEMBER] * 20))
        assert state(world, third)[0] is Status.COMPLETED
        assert (slots_of(world, "2026-12").executing, slots_of(world, "2026-12").waiting) == ({}, 0)

    def test_without_a_new_run_starts_those_that_wait(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = (submit(world, now=LAST_OF_NOVEMBER) for _ in range(2))
        for run in (first, second):
            done = execute(world, run, ScriptedModel([ANSWER]), clock=iter([DECEMBER] * 20))
            assert done.status is Status.COMPLETED
        assert (slots_of(world).executing, slots_of(world).waiting) == ({}, 0)

    def test_that_is_over_gives_no_slot_to_a_late_request(self, world: World) -> None:
        limit(world, max_concurrent_runs=2)
        submit(world, now=LAST_OF_NOVEMBER)
        submit(world, now=DECEMBER)
        assert submit(world, now=LAST_OF_NOVEMBER).waits_for_slot

    def test_that_had_no_run_gives_no_slot_to_a_late_request_either(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world, now=DECEMBER)
        assert submit(world, now=LAST_OF_NOVEMBER).waits_for_slot
        assert budget_of(world).slots is None


class Forgetful(BudgetTable):
    """A table whose worker dies right after it has freed a slot."""

    def settle(self, *args: object, **options: object) -> Freed | None:
        """The slot is free, and the caller does not learn of it."""
        super().settle(*args, **options)  # pyright: ignore[reportArgumentType]
        return None


class TestCrash:
    def test_between_the_end_of_a_run_and_the_start_of_the_next_is_made_up_for(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        execute(replace(world, budgets=Forgetful(world.store)), first, ScriptedModel([ANSWER]))
        assert state(world, second) == WAITS
        sweep_later(world, after=timedelta(seconds=31))
        assert state(world, second) == EXECUTES

    @pytest.mark.parametrize("heal", ["sweep", "dispatch"])
    def test_between_the_slot_and_the_start_is_made_up_for(self, world: World, heal: str) -> None:
        limit(world, max_concurrent_runs=1)
        first, second, third = in_order(world, 3)

        class Dying(RunTable):
            """Nothing is written any more for a run that waits."""

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **options: bool) -> Item:
                if before.waits_for_slot:
                    raise DependencyUnavailable("Gone.")  # noqa: EM101 — a test's own
                return super().save(before, after, events, **options)

        table = Dying(world.store, world.runs._payloads)  # pyright: ignore[reportPrivateUsage]  # the same ones
        cancel_run(table, world.budgets, TENANT, first.run_id, now=LATER, if_match=None)
        assert (set(slots_of(world).executing), state(world, second)) == ({second.run_id}, WAITS)
        if heal == "sweep":
            sweep_later(world)
        else:
            dispatch_waiting(world.budgets, world.runs, TENANT, now=LATER)
        assert [state(world, run) for run in (second, third)] == [EXECUTES, WAITS]
        assert slots_of(world).waiting == 1

    def test_that_leaves_a_slot_behind_is_made_up_for(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)

        class Silent(BudgetTable):
            """Nothing is settled."""

            def settle(self, *_: object, **__: object) -> Freed | None:
                return None

        class SilentSlots(SlotTable):
            """No slot is freed."""

            def release(self, *_: object, **__: object) -> Freed | None:
                return None

        dying = Silent(world.store)
        dying.slots = SilentSlots(world.store)
        execute(replace(world, budgets=dying), first, ScriptedModel([ANSWER]))
        assert (set(slots_of(world).executing), state(world, second)) == ({first.run_id}, WAITS)
        assert sweep_later(world, after=timedelta(minutes=4)) == 0
        sweep_later(world)
        assert state(world, second) == EXECUTES

    def test_that_leaves_the_number_of_waiting_runs_too_high_is_made_up_for(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world)
        world.budgets.slots.enqueue(TENANT, "2026-11", at_most=20, now=LATER, swept_at=LATER, first=True)
        sweep_later(world)
        assert slots_of(world).waiting == 0

    def test_that_leaves_the_number_too_low_is_made_up_for_before_the_tenant_is_forgotten(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        world.budgets.slots.leave(TENANT, "2026-11", now=LATER)
        execute(world, first, ScriptedModel([ANSWER]))
        assert state(world, second) == WAITS
        sweep_later(world)
        sweep_later(world, after=timedelta(minutes=7))
        assert state(world, second) == EXECUTES

    def test_that_leaves_nothing_lets_the_sweep_forget_the_tenant(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        for run in in_order(world, 2):
            execute(world, run, ScriptedModel([ANSWER]))
        sweep_later(world)
        assert list(world.budgets.queue.entries(now=LATER + timedelta(days=1))) == []


class TestDueIndex:
    def test_finds_no_run_that_waits(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        in_order(world, 3)
        assert len(list(world.runs.queue.entries(now=LATER + timedelta(days=1)))) == 1

    def test_finds_all_of_them_for_a_deletion(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        runs = in_order(world, 3)
        assert sorted(world.runs.under_way(TENANT)) == [run.run_id for run in runs]
