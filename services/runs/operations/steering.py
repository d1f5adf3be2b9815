"""What a client can do with a run that is under way: cancel it, and hand in the outputs of tools."""

from collections.abc import Callable, Mapping
from datetime import datetime

from services.runs.domain import lifecycle
from services.runs.domain.request import compose
from services.runs.domain.run import CallId, Run, Status
from services.runs.errors import LeaseLost, NoFreeSlot
from services.runs.operations.planning import Planned, Planner
from services.runs.operations.reporting import report_progress
from services.runs.operations.slots import (
    dispatch_behind,
    enqueue,
    give_up_and_dispatch,
    leave,
    settle_and_dispatch,
)
from services.runs.operations.submission import Configs
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.errors import Conflict
from shared.http.etag import check_if_match
from shared.tenancy.context import TenantAccess

_TRIES = 5


def cancel_run(
    runs: RunTable, budgets: BudgetTable, tenant_id: str, run_id: str, *, now: datetime, if_match: str | None
) -> Run:
    """Cancel a run: at once when nothing is under way, else its worker is asked to stop.

    Raises:
        RunNotFound, RunAlreadyEnded: there is nothing to cancel.
    """

    def attempt() -> Run:
        run = runs.get(tenant_id, run_id)
        check_if_match(if_match, run.seq)
        after, events = lifecycle.cancel(run, now=now)
        if after is run:
            return run
        if run.status is Status.RUNNING:
            runs.request_cancel(run, now=now)
            return after
        runs.save(run, after, events)
        if run.waits_for_slot:
            leave(budgets, tenant_id, now=now)
        settle_and_dispatch(budgets, runs, run, after, now=now)
        report_progress(run, after)
        return after

    return _until_alone(attempt)


def hand_in_tool_outputs(
    runs: RunTable,
    configs: Configs,
    planner: Planner,
    access: TenantAccess,
    run_id: str,
    outputs: Mapping[str, str],
    *,
    now: datetime,
) -> Run:
    """Let a run go on with what its tools have given; the same again changes nothing.

    Raises:
        RunNotFound: there is no such run.
        ToolOutputsMismatch, RunAlreadyEnded: these outputs were not asked for.
        LimitReached, TooManyRequests: nothing can be held for the next call; the run waits for the same outputs still.
    """

    def attempt() -> Run:
        run = runs.get(access.tenant_id, run_id)
        answered, events = lifecycle.take_tool_outputs(run, outputs, now=now)
        if answered is run:
            return run
        try:
            planned = _plan_turn(configs, planner, access, answered, now=now)
        except NoFreeSlot as full:
            return _wait_for_slot(runs, planner.budgets, run, outputs, full, now=now)
        after = lifecycle.plan_turn(answered, planned.call)
        try:
            runs.save(run, after, events)
        except LeaseLost:
            give_up_and_dispatch(planner.budgets, runs, access.tenant_id, planned.held, now=now)
            raise
        return after

    return _until_alone(attempt)


def _wait_for_slot(
    runs: RunTable, budgets: BudgetTable, run: Run, outputs: Mapping[str, str], full: NoFreeSlot, *, now: datetime
) -> Run:
    """Store the outputs of a run that goes on when it has a slot.

    Raises:
        TooManyRequests: as many runs wait as may.
    """
    enqueue(budgets, run.tenant_id, full, now=now)
    after, events = lifecycle.take_tool_outputs(run, outputs, now=now, has_slot=False)
    try:
        runs.save(run, after, events)
    except LeaseLost:
        leave(budgets, run.tenant_id, now=now)
        raise
    dispatch_behind(budgets, runs, run.tenant_id, full, now=now)
    return after


def _plan_turn(configs: Configs, planner: Planner, access: TenantAccess, run: Run, *, now: datetime) -> Planned:
    """The next attempt's first call."""
    config = configs.read(access.tenant_id, run.config)
    request = compose(config, run.inputs, turns=run.turns, max_output_tokens=run.max_output_tokens)
    call = CallId(run.run_id, run.attempt + 1, number=1)
    return planner.plan_next(access, run, call, request, now=now, from_client=True)


def _until_alone(attempt: Callable[[], Run]) -> Run:
    """Load, decide, save; and again when the run has moved on in between."""
    for _ in range(_TRIES):
        try:
            return attempt()
        except LeaseLost:
            continue
    msg = "The run is changing too quickly; try again."
    raise Conflict(msg)
