"""`python -m bench.reaper`: the reaper of the runs service with many runs whose workers have died."""

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.upkeep import CALL_S, TENANTS_TO_HOLD, WaitingDynamoDB, measuring, store_results
from infra.local.paths import ROOT
from services.runs.budgets.domain import SWEEP_GRACE_PERIOD, Budget, Grant, PlanLimits, Reservation, month_of
from services.runs.budgets.table.budgets import AllBudgets, BudgetTable
from services.runs.execution.operations.recovery import reap
from services.runs.functions.reaper import EVERY_S, SIMULTANEOUS_ENTRIES
from services.runs.partitions import SLICE
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import CallId, OpenCall, PinnedVersion, Run, RunRequest
from services.runs.runs.table.runs import AllRuns, RunTable
from shared.document_ref import DocumentRef
from shared.ids import milliseconds, new_id
from shared.observability import logger
from shared.plans import UNLIMITED
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from shared.storage.store import Store

_RESULTS = ROOT / "bench" / "results" / "reaper.json"
_NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
_TOKENS = 5_000
_TERMS = PlanLimits(seq=1, requests=UNLIMITED, tokens=UNLIMITED, overage=False)


def main() -> None:
    """Measure, print and store the results."""
    options = argparse.ArgumentParser(prog="python -m bench.reaper")
    options.add_argument("--runs", type=int, default=10_000, help="whose workers have died")
    options.add_argument("--tenants", type=int, default=100, help="that the runs are divided among")
    arguments = options.parse_args()
    logger.setLevel("CRITICAL")
    measured = {"runs_with_lost_workers": lost_runs(arguments.runs, tenants=arguments.tenants)}
    store_results(_RESULTS, {"request_ms": CALL_S * 1_000, "concurrency": SIMULTANEOUS_ENTRIES, **measured})


def lost_runs(number: int, *, tenants: int) -> dict[str, Any]:
    """Give runs back whose leases are over: each counts a lost call, settles it and is queued again."""
    table = WaitingDynamoDB()
    store = Store(table, table="entities", owned=SLICE)
    runs, budgets = AllRuns(store, Payloads(Artifacts(None, bucket="none"))), AllBudgets(store)  # pyright: ignore[reportArgumentType] — nothing is stored there
    for one in range(number):
        tenant_id = f"tenant-{one % tenants}"
        _lease(runs.of(tenant_id), budgets.of(tenant_id))
    with measuring(table) as measured:
        swept = reap(runs, budgets, now=_NOW + lifecycle.LEASE + timedelta(seconds=1), concurrency=SIMULTANEOUS_ENTRIES)
    a_second = swept.handled / measured.wall_s
    measured.more = {
        "handled": swept.handled,
        "left": swept.left,
        "entries_per_second": round(a_second, 1),
        "entries_per_sweep": round(a_second * EVERY_S),
        "minutes_for_one_run_of_each_of_100000_tenants": round(TENANTS_TO_HOLD / a_second / 60, 1),
    }
    return measured.to_json(entries=number)


def _lease(runs: RunTable, budgets: BudgetTable) -> Run:
    period = month_of(_NOW)
    call = OpenCall(1, "openai", "gpt-4", simulated=False, bound_tokens=_TOKENS, max_output_tokens=100, period=period)
    request = RunRequest(
        run_id=new_id("run", _NOW),
        agent_id="agt_0",
        version=1,
        inputs={"message": "Hello"},
        metadata={},
        max_output_tokens=100,
        max_cost_nano_usd=None,
        request_id="request",
        trace_id="",
        waited=False,
    )
    pinned = PinnedVersion(1, DocumentRef("none", "0" * 64), project_id=None)
    run, events = lifecycle.submit(runs.tenant_id, request, pinned, first_call=call, now=_NOW)
    _reserve(budgets, run, period)
    runs.create(run, events, idempotency_key=None)
    runs.acquire_lease(run.run_id, now=_NOW)
    return run


def _reserve(budgets: BudgetTable, run: Run, period: str) -> None:
    if budgets.find(period) is None:
        budgets.create(period, Budget.fresh(_TERMS))
        budgets.slots.open(period, _TERMS, now=_NOW)
    refused = budgets.reserve(
        period,
        Reservation(CallId(run.run_id, attempt=1, number=1), _TOKENS, milliseconds(_NOW)),
        Grant(_TOKENS, _TOKENS),
        limits=_TERMS,
        max_open=1_000,
        swept_at=_NOW + SWEEP_GRACE_PERIOD,
        takes_slot=True,
    )
    if refused is not None:
        msg = "nothing limits the benchmark's tenants"
        raise ValueError(msg)


if __name__ == "__main__":
    main()
