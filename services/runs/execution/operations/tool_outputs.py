"""Continuation of runs with the outputs of their tools, which the client executes."""

from collections.abc import Mapping
from datetime import datetime

from services.runs.agents.domain import Configs
from services.runs.budgets.operations.slots import dispatch_after_enqueue, enqueue, leave, release_and_dispatch
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.errors import LeaseLost, NoFreeSlot, StorageFull
from services.runs.execution.operations.contention import retry_if_changed
from services.runs.execution.operations.planning import PlannedCall, Planner
from services.runs.prompts.operations import read_config
from services.runs.providers.domain.request import compose
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import CallId, Run
from services.runs.runs.table.runs import RunTable
from shared.tenancy.context import TenantAccess


def submit_tool_outputs(
    runs: RunTable,
    configs: Configs,
    planner: Planner,
    access: TenantAccess,
    run_id: str,
    outputs: Mapping[str, str],
    *,
    now: datetime,
) -> Run:
    """Continue a run with the outputs of its tools. Submitting the same outputs again changes nothing.

    Raises:
        RunNotFound: the run does not exist.
        ToolOutputsMismatch, RunAlreadyEnded: these outputs were not requested.
        LimitReached, StorageFull, TooManyRequests: the next call cannot be reserved, or the outputs exceed the plan's
            storage. The run still waits for its outputs, so the same request can be retried.
    """

    def attempt() -> Run:
        run = runs.get(run_id)
        answered, events = lifecycle.accept_tool_outputs(run, outputs, now=now)
        if answered is run:
            return run
        try:
            planned = _plan_turn(configs, planner, access, answered, now=now)
        except NoFreeSlot as full:
            return _wait_for_slot(runs, planner.budgets, access, run, outputs, full, now=now)
        after = lifecycle.plan_turn(answered, planned.call)
        try:
            runs.save(run, after, events, storage_gb=access.allowance.storage_gb)
        except (LeaseLost, StorageFull):
            release_and_dispatch(planner.budgets, runs, planned.reserved, now=now)
            raise
        return after

    return retry_if_changed(attempt)


def _wait_for_slot(
    runs: RunTable,
    budgets: BudgetTable,
    access: TenantAccess,
    run: Run,
    outputs: Mapping[str, str],
    full: NoFreeSlot,
    *,
    now: datetime,
) -> Run:
    """Store the outputs of a run that continues once it has a slot.

    Raises:
        TooManyRequests: the maximum number of runs waits.
    """
    enqueue(budgets, full, now=now)
    after, events = lifecycle.accept_tool_outputs(run, outputs, now=now, has_slot=False)
    try:
        runs.save(run, after, events, storage_gb=access.allowance.storage_gb)
    except (LeaseLost, StorageFull):
        leave(budgets, now=now)
        raise
    dispatch_after_enqueue(budgets, runs, full, now=now)
    return after


def _plan_turn(configs: Configs, planner: Planner, access: TenantAccess, run: Run, *, now: datetime) -> PlannedCall:
    """Plan the first call of the next attempt."""
    config = read_config(configs, access.tenant_id, run.config, template=run.template, inputs=run.inputs)
    request = compose(
        config,
        run.inputs,
        turns=run.turns,
        parameters=run.parameters,
        max_output_tokens=run.max_output_tokens,
    )
    call = CallId(run.run_id, run.attempt + 1, number=1)
    return planner.plan_next(access, run, call, request, now=now, from_client=True)
