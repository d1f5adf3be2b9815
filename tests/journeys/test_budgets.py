"""A tenant never exceeds its limit and can use nearly all of it, at any concurrency."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from infra.local.paths import ROOT
from services.runs.budgets.domain import month_of, next_month
from services.runs.budgets.operations.sweep import sweep_budgets
from services.runs.budgets.table.budgets import AllBudgets, BudgetTable
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.recovery import reap
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import Status
from shared.ids import new_id
from shared.meters import Meter
from shared.storage.store import Store
from shared.times import utc_now
from tests.journeys.load_generator import MESSAGE, LoadGenerator, client_of
from tests.journeys.steps import Steps, wait_for
from tests.mesh import Mesh
from tests.services.runs.conftest import all_of
from tests.tables import make_table

pytestmark = pytest.mark.mesh

Show = Callable[[str], None]

TOKEN_LIMIT = 20_000
WAIT_HEADERS = {"Prefer": "wait=25"}
WAVE_SIZES = [64, *[12] * 20]
SLOW_MESSAGE = "Go on. [[tokens 400]] [[delay 30]]"
TABLE = "journey-budgets"


@pytest.fixture(scope="module", name="endpoint")
def make_endpoint(mesh: Mesh) -> str:
    """Return the engine's address, after creating a table whose stream has no consumers."""
    if TABLE not in mesh.clients.dynamodb.list_tables()["TableNames"]:
        make_table(mesh.clients.dynamodb, TABLE)
    return mesh.outputs["EngineEndpoint"]


@pytest.fixture(name="load")
def make_load(endpoint: str) -> LoadGenerator:
    """Return a new tenant without copies."""
    return LoadGenerator(TABLE, new_id("t", utc_now()).lower().replace("_", "-"), client_of(endpoint))


def _assert_consistent(load: LoadGenerator, limit: int, period: str | None = None) -> int:
    """Assert that the budget agrees with the runs and its limit is not exceeded. Return the number of used tokens."""
    period = period or month_of(utc_now())
    budget, spent = load.budget(period), load.spent_tokens(period)
    assert budget.open == {}
    assert budget.tokens_left == limit - spent
    assert 0 <= spent <= limit
    return spent


class TestDeployedBudget:
    def test_decreases_by_the_usage_of_runs(self, mesh: Mesh, steps: Steps) -> None:
        budgets = BudgetTable(Store(mesh.clients.dynamodb, table="ainexus-local-entities", owned=SLICE), "demo-org")
        agent_id, period = steps.create_agent(), month_of(utc_now())
        steps.submit(agent_id, "Begin the month.", headers=WAIT_HEADERS)
        before = budgets.find(period)
        runs = [steps.submit(agent_id, f"{number} [[tokens 30]]", headers=WAIT_HEADERS) for number in range(3)]
        after = budgets.find(period)
        assert before is not None
        assert after is not None
        assert before.tokens_left - after.tokens_left == sum(
            run["usage"]["tokens_in"] + run["usage"]["tokens_out"] for run in runs
        )
        assert before.requests_left - after.requests_left == len(runs)


class TestConcurrentRuns:
    @pytest.mark.parametrize("max_output_tokens", [None, 2_000])
    def test_use_nearly_the_whole_token_limit_and_never_more(
        self, load: LoadGenerator, max_output_tokens: int | None, show: Show
    ) -> None:
        load.store_copies(max_tokens_per_month=TOKEN_LIMIT)
        # The first run of a month creates the budget in a transaction. Later runs reserve without a transaction.
        assert load.run_one("[[tokens 1]]", max_output_tokens=16)
        runs = load.run_until_refused(WAVE_SIZES, max_output_tokens=max_output_tokens)
        spent = _assert_consistent(load, TOKEN_LIMIT)
        clamped = sum(run.limited_by is not None for run in load.all_runs())
        show(
            f"cap {max_output_tokens}: {spent} of {TOKEN_LIMIT} tokens ({spent * 100 // TOKEN_LIMIT} %), "
            f"{runs} runs, {clamped} clamped, {len(load.refused)} refused, {load.client.cancelled} conflicts"
        )
        assert spent * 100 >= TOKEN_LIMIT * 95
        assert load.client.cancelled == 0
        assert {refused.resets_at for refused in load.refused} == {next_month(utc_now())}

    def test_stop_exactly_at_the_request_limit(self, load: LoadGenerator, show: Show) -> None:
        load.store_copies(max_tokens_per_month=10**6, max_requests_per_month=10)
        assert load.run_concurrently(64) == 10
        assert load.budget(month_of(utc_now())).requests_left == 0
        load.store_copies(max_tokens_per_month=10**6, max_requests_per_month=11, seq=2)
        run = load.submit()
        assert run is not None
        assert load.submit() is None
        cancel_run(load.runs, load.budgets, run.run_id, now=utc_now(), if_match=None)
        assert load.run_concurrently(8) == 1
        show(f"{len(load.all_runs()) - 1} runs at a limit of 10 and then 11 requests")


class TestWorkerProcesses:
    def test_two_use_nearly_the_whole_limit_and_never_more(
        self, endpoint: str, load: LoadGenerator, show: Show
    ) -> None:
        load.store_copies(max_tokens_per_month=TOKEN_LIMIT)
        workers = [_start(endpoint, load) for _ in range(2)]
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
        spent = _assert_consistent(load, TOKEN_LIMIT)
        show(f"two processes: {spent} of {TOKEN_LIMIT} tokens ({spent * 100 // TOKEN_LIMIT} %)")
        assert spent * 100 >= TOKEN_LIMIT * 95

    def test_killed_ones_leave_no_open_call_and_never_exceed_the_limit(
        self, endpoint: str, load: LoadGenerator, show: Show
    ) -> None:
        limit, period, later = 5 * TOKEN_LIMIT, month_of(utc_now()), utc_now()
        load.store_copies(max_tokens_per_month=limit)
        left_open = lost = swept = 0
        for _ in range(2):
            ended_before = len(load.all_runs())
            worker = _start(endpoint, load, SLOW_MESSAGE, max_output_tokens=500)
            wait_for(
                lambda ended_before=ended_before: _count_ended_runs(load) > ended_before and _has_open_call(load),
                description="one run has ended and others are in progress",
            )
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
            left_open += len(load.budget(period).open)
            later += timedelta(hours=1)
            lost += len(reap(all_of(load.runs), AllBudgets(load.store), now=later).results)
            for run in load.all_runs():
                load.execute(run)
            swept += sum(sweep_budgets(AllBudgets(load.store), all_of(load.runs), load.access, now=later).results)
        spent = _assert_consistent(load, limit, period)
        runs = load.all_runs()
        assert all(run.status.final for run in runs)
        uncertain = sum(run.usage.get(Meter.TOKENS_UNCERTAIN, 0) for run in runs)
        assert 0 < uncertain < spent
        show(
            f"two kills: {left_open} calls left open, {lost} runs requeued, {swept} calls swept; "
            f"{spent} of {limit} tokens by {len(runs)} runs, {uncertain} of them uncertain"
        )


class TestBudgetChanges:
    def test_a_new_limit_applies_to_runs_in_progress(self, load: LoadGenerator, show: Show) -> None:
        limits = (TOKEN_LIMIT, TOKEN_LIMIT // 4, 2 * TOKEN_LIMIT)
        used: list[int] = []
        for seq, limit in enumerate(limits, start=1):
            load.store_copies(max_tokens_per_month=limit, seq=seq)
            load.run_concurrently(16, "Go on. [[tokens 900]]")
            used.append(load.spent_tokens(month_of(utc_now())))
        assert used[0] <= TOKEN_LIMIT
        assert used[0] > TOKEN_LIMIT // 4
        assert used[1] == used[0]
        assert used[2] > used[1]
        _assert_consistent(load, 2 * TOKEN_LIMIT)
        show(f"under limits of {limits} in turn: {used} tokens")

    def test_a_call_counts_in_the_month_of_its_reservation(self, load: LoadGenerator, show: Show) -> None:
        load.store_copies(max_tokens_per_month=TOKEN_LIMIT)
        load.clock = _clock_passing(datetime(2027, 2, 1, tzinfo=UTC))
        load.run_concurrently(12, "[[error 503]]")
        periods = [call.period for run in load.all_runs() for call in run.calls]
        assert set(periods) == {"2027-01", "2027-02"}
        assert any(len({call.period for call in run.calls}) == 2 for run in load.all_runs())
        assert all(run.status is Status.FAILED for run in load.all_runs())
        for period in ("2027-01", "2027-02"):
            _assert_consistent(load, TOKEN_LIMIT, period)
        assert load.budget("2027-01").requests_left - load.budget("2027-02").requests_left < 0
        show(f"{periods.count('2027-01')} calls in January, {periods.count('2027-02')} in February, of 12 runs")


def _start(
    endpoint: str, load: LoadGenerator, message: str = MESSAGE, *, max_output_tokens: int | None = None
) -> "subprocess.Popen[bytes]":
    """Start a worker process that executes runs until the budget is used up."""
    cap = [str(max_output_tokens)] if max_output_tokens else []
    command = [sys.executable, "-m", "tests.journeys.load_generator", endpoint, TABLE, load.tenant_id, message, *cap]
    return subprocess.Popen(command, cwd=ROOT)  # noqa: S603 — our own program


def _count_ended_runs(load: LoadGenerator) -> int:
    return sum(run.status.final for run in load.all_runs())


def _has_open_call(load: LoadGenerator) -> bool:
    return any(run.status is Status.RUNNING and run.open_call for run in load.all_runs())


def _clock_passing(moment: datetime) -> Callable[[], datetime]:
    """Return a clock that advances by 0.1 s at each call and reaches the moment after 60 calls."""
    ticks: Iterator[int] = count(-60)
    return lambda: moment + timedelta(milliseconds=100 * next(ticks))
