"""Fixtures of slots: their state and the published runs."""

from datetime import timedelta

from services.runs.budgets.domain import Freed, Slots
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.execution.operations.cancel import cancel_run
from services.runs.runs.domain.run import Run, Status
from tests.services.runs.budgets.fixtures import budget_of
from tests.services.runs.conftest import World
from tests.services.runs.workers import LATER, outbox, submit


def slots_of(world: World, period: str = "2026-11") -> Slots:
    slots = budget_of(world, period).slots
    assert slots is not None
    return slots


def state(world: World, run: Run) -> tuple[Status, bool]:
    """Return the status and whether the run waits for a slot."""
    there = world.runs.get(run.run_id)
    return there.status, there.waits_for_slot


def published(world: World) -> list[str]:
    """Return the ids of the runs put into the workers' queue."""
    return [name.split(":")[0] for name in outbox(world) if ":queued:" in name]


def in_order(world: World, count: int) -> list[Run]:
    """Submit runs, each newer than the one before."""
    return [submit(world, now=LATER + timedelta(milliseconds=number)) for number in range(count)]


def cancel(world: World, run: Run) -> None:
    cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)


EXECUTES, WAITS = (Status.QUEUED, False), (Status.QUEUED, True)


class Forgetful(BudgetTable):
    """A budget table whose worker dies right after freeing a slot."""

    def settle(self, *args: object, **options: object) -> Freed | None:
        """Free the slot without returning that."""
        super().settle(*args, **options)  # pyright: ignore[reportArgumentType]
        return None
