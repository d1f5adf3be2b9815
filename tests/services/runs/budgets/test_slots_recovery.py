"""Slots after changes of plan or month, and after crashes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.runs.budgets.operations.slots import dispatch_waiting
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.budgets.table.slots import Freed, SlotTable
from services.runs.execution.operations.cancel import cancel_run
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import RunEvent
from shared.storage.items import Item
from tests.services.runs.budgets.fixtures import ANSWER, DECEMBER, LAST_OF_NOVEMBER, budget_of, limit, sweep_later
from tests.services.runs.budgets.slots import EXECUTES, WAITS, Forgetful, in_order, slots_of, state
from tests.services.runs.conftest import World
from tests.services.runs.examples import TENANT
from tests.services.runs.workers import LATER, ScriptedModel, execute, submit, under_way


class TestPlan:
    def test_starts_waiting_runs_when_it_grows(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        runs = in_order(world, 4)
        limit(world, seq=3, max_concurrent_runs=3)
        sweep_later(world, after=timedelta(seconds=31))
        assert [state(world, run) for run in runs] == [EXECUTES, EXECUTES, EXECUTES, WAITS]

    def test_starts_none_when_it_shrinks_until_enough_have_ended(self, world: World) -> None:
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
    def test_is_capped_by_the_item_size_without_a_limit(self, world: World, own: int, executing: int) -> None:
        limit(world, max_concurrent_runs=own)
        submit(world)
        assert slots_of(world).limit == executing


class TestMonth:
    def test_counts_runs_that_still_execute_from_the_previous_one(self, world: World) -> None:
        limit(world, max_concurrent_runs=2)
        old = [submit(world, now=LAST_OF_NOVEMBER) for _ in range(2)]
        new = submit(world, now=DECEMBER)
        assert [state(world, run) for run in (*old, new)] == [EXECUTES, EXECUTES, WAITS]
        assert (slots_of(world).moved_to, slots_of(world, "2026-12").waiting) == ("2026-12", 1)
        execute(world, old[0], ScriptedModel([ANSWER]), clock=iter([DECEMBER] * 20))
        assert state(world, new) == EXECUTES
        assert submit(world, now=DECEMBER).waits_for_slot

    def test_counts_them_when_the_plan_shrinks_and_grows(self, world: World) -> None:
        limit(world, max_concurrent_runs=4)
        old = [submit(world, now=LAST_OF_NOVEMBER) for _ in range(4)]
        limit(world, seq=3, max_concurrent_runs=1)
        new = [submit(world, now=DECEMBER)]
        limit(world, seq=4, max_concurrent_runs=5)
        new += [submit(world, now=DECEMBER + timedelta(seconds=number)) for number in range(1, 4)]
        sweep_later(world, after=DECEMBER - LATER + timedelta(seconds=35))
        assert [state(world, run) for run in (*old, *new)] == [EXECUTES] * 5 + [WAITS] * 3

    def test_takes_over_waiting_runs(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = (submit(world, now=LAST_OF_NOVEMBER) for _ in range(2))
        third = submit(world, now=DECEMBER)
        assert slots_of(world, "2026-12").waiting == 2
        for run in (first, second, third):
            execute(world, run, ScriptedModel([ANSWER]), clock=iter([DECEMBER] * 20))
        assert state(world, third)[0] is Status.COMPLETED
        assert (slots_of(world, "2026-12").executing, slots_of(world, "2026-12").waiting) == ({}, 0)

    def test_starts_waiting_runs_without_a_new_run(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = (submit(world, now=LAST_OF_NOVEMBER) for _ in range(2))
        for run in (first, second):
            done = execute(world, run, ScriptedModel([ANSWER]), clock=iter([DECEMBER] * 20))
            assert done.status is Status.COMPLETED
        assert (slots_of(world).executing, slots_of(world).waiting) == ({}, 0)

    def test_grants_no_slot_to_a_late_request_after_its_end(self, world: World) -> None:
        limit(world, max_concurrent_runs=2)
        submit(world, now=LAST_OF_NOVEMBER)
        submit(world, now=DECEMBER)
        assert submit(world, now=LAST_OF_NOVEMBER).waits_for_slot

    def test_grants_no_slot_to_a_late_request_if_it_had_no_runs(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world, now=DECEMBER)
        assert submit(world, now=LAST_OF_NOVEMBER).waits_for_slot
        assert budget_of(world).slots is None


class TestCrash:
    def test_is_repaired_between_an_end_and_the_next_start(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        execute(replace(world, budgets=Forgetful(world.store, TENANT)), first, ScriptedModel([ANSWER]))
        assert state(world, second) == WAITS
        sweep_later(world, after=timedelta(seconds=31))
        assert state(world, second) == EXECUTES

    @pytest.mark.parametrize("heal", ["sweep", "dispatch"])
    def test_is_repaired_between_slot_and_start(self, world: World, heal: str) -> None:
        limit(world, max_concurrent_runs=1)
        first, second, third = in_order(world, 3)

        class Dying(RunTable):
            """A table that fails to write a waiting run."""

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **options: Any) -> Item:  # noqa: ANN401 — the options of `RunTable.save`
                if before.waits_for_slot:
                    raise DependencyUnavailable("Gone.")  # noqa: EM101 — a test's own
                return super().save(before, after, events, **options)

        table = Dying(world.store, TENANT, world.runs.payloads)
        cancel_run(table, world.budgets, first.run_id, now=LATER, if_match=None)
        assert (set(slots_of(world).executing), state(world, second)) == ({second.run_id}, WAITS)
        if heal == "sweep":
            sweep_later(world)
        else:
            dispatch_waiting(world.budgets, world.runs, now=LATER)
        assert [state(world, run) for run in (second, third)] == [EXECUTES, WAITS]
        assert slots_of(world).waiting == 1

    def test_is_repaired_when_it_leaves_a_slot_taken(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)

        class Silent(BudgetTable):
            """A table that does not settle."""

            def settle(self, *_: object, **__: object) -> Freed | None:
                return None

        class SilentSlots(SlotTable):
            """A table that does not free slots."""

            def release(self, *_: object, **__: object) -> Freed | None:
                return None

        dying = Silent(world.store, TENANT)
        dying.slots = SilentSlots(world.store, TENANT)
        execute(replace(world, budgets=dying), first, ScriptedModel([ANSWER]))
        assert (set(slots_of(world).executing), state(world, second)) == ({first.run_id}, WAITS)
        assert sweep_later(world, after=timedelta(minutes=4)) == 0
        sweep_later(world)
        assert state(world, second) == EXECUTES

    def test_is_repaired_when_the_waiting_count_is_too_high(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        submit(world)
        world.budgets.slots.enqueue("2026-11", at_most=20, now=LATER, swept_at=LATER, first=True)
        sweep_later(world)
        assert slots_of(world).waiting == 0

    def test_is_repaired_when_the_waiting_count_is_too_low(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        first, second = in_order(world, 2)
        world.budgets.slots.leave("2026-11", now=LATER)
        execute(world, first, ScriptedModel([ANSWER]))
        assert state(world, second) == WAITS
        sweep_later(world)
        sweep_later(world, after=timedelta(minutes=7))
        assert state(world, second) == EXECUTES

    def test_is_swept_no_more_when_nothing_is_left(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        for run in in_order(world, 2):
            execute(world, run, ScriptedModel([ANSWER]))
        sweep_later(world)
        assert list(world.all_budgets.queue.entries(now=LATER + timedelta(days=1))) == []


class TestDueIndex:
    def test_contains_no_waiting_runs(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        in_order(world, 3)
        assert len(list(world.all_runs.queue.entries(now=LATER + timedelta(days=1)))) == 1

    def test_lists_all_runs_for_a_tenant_deletion(self, world: World) -> None:
        limit(world, max_concurrent_runs=1)
        runs = in_order(world, 3)
        assert sorted(under_way(world.runs)) == [run.run_id for run in runs]
