"""A tenant never uses more than its limit and can use nearly all of it, whatever happens at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from infra.local.paths import ROOT
from services.runs.domain.budget import month_of, next_month
from services.runs.domain.run import Status
from services.runs.operations.reaping import reap
from services.runs.operations.steering import cancel_run
from services.runs.operations.sweeping import sweep_budgets
from services.runs.table import SLICE
from services.runs.table.budgets import BudgetTable
from shared.ids import new_id
from shared.meters import Meter
from shared.storage.store import Store
from shared.times import utc_now
from tests.journeys.spender import MESSAGE, Spender, client_of
from tests.journeys.steps import Steps, wait_for
from tests.mesh import Mesh
from tests.tables import make_table

pytestmark = pytest.mark.mesh

Show = Callable[[str], None]

LIMIT = 20_000
WAIT = {"Prefer": "wait=25"}
WAVES = [64, *[12] * 20]
SLOW = "Go on. [[tokens 400]] [[delay 30]]"
TABLE = "journey-budgets"


@pytest.fixture(scope="module", name="endpoint")
def make_endpoint(mesh: Mesh) -> str:
    """The engine, with a table that nothing else listens to."""
    if TABLE not in mesh.clients.dynamodb.list_tables()["TableNames"]:
        make_table(mesh.clients.dynamodb, TABLE)
    return mesh.outputs["EngineEndpoint"]


@pytest.fixture(name="spender")
def make_spender(endpoint: str) -> Spender:
    """A new tenant, of whom nothing is known."""
    return Spender(TABLE, new_id("t", utc_now()).lower().replace("_", "-"), client_of(endpoint))


def _assert_true(spender: Spender, limit: int, period: str | None = None) -> int:
    """The item of the budget says what the runs say, and that is no more than the limit; gives what was spent."""
    period = period or month_of(utc_now())
    budget, spent = spender.budget(period), spender.spent_tokens(period)
    assert budget.open == {}
    assert budget.tokens_left == limit - spent
    assert 0 <= spent <= limit
    return spent


class TestDeployed:
    def test_a_month_has_less_left_by_what_its_runs_have_used(self, mesh: Mesh, steps: Steps) -> None:
        budgets = BudgetTable(Store(mesh.clients.dynamodb, table="ainexus-local-entities", owned=SLICE))
        agent_id, period = steps.agent(), month_of(utc_now())
        steps.submit(agent_id, "Begin the month.", headers=WAIT)
        before = budgets.find("demo-org", period)
        runs = [steps.submit(agent_id, f"{number} [[tokens 30]]", headers=WAIT) for number in range(3)]
        after = budgets.find("demo-org", period)
        assert before is not None
        assert after is not None
        assert before.tokens_left - after.tokens_left == sum(
            run["usage"]["tokens_in"] + run["usage"]["tokens_out"] for run in runs
        )
        assert before.requests_left - after.requests_left == len(runs)


class TestAtOnce:
    @pytest.mark.parametrize("max_output_tokens", [None, 2_000])
    def test_sixty_four_use_nearly_all_and_never_more(
        self, spender: Spender, max_output_tokens: int | None, show: Show
    ) -> None:
        spender.know(max_tokens_per_month=LIMIT)
        # The first run of a month opens it in a transaction; every later one takes from it without one.
        assert spender.spend("[[tokens 1]]", max_output_tokens=16)
        runs = spender.spend_all(WAVES, max_output_tokens=max_output_tokens)
        spent = _assert_true(spender, LIMIT)
        clamped = sum(run.limited_by is not None for run in spender.all_runs())
        show(
            f"cap {max_output_tokens}: {spent} of {LIMIT} tokens ({spent * 100 // LIMIT} %) by {runs} runs, "
            f"{clamped} clamped, {len(spender.refused)} refused, {spender.client.cancelled} conflicts"
        )
        assert spent * 100 >= LIMIT * 95
        assert spender.client.cancelled == 0
        assert {refused.resets_at for refused in spender.refused} == {next_month(utc_now())}

    def test_sixty_four_at_a_limit_of_requests_are_as_many_as_it_allows(self, spender: Spender, show: Show) -> None:
        spender.know(max_tokens_per_month=10**6, max_requests_per_month=10)
        assert spender.spend_at_once(64) == 10
        assert spender.budget(month_of(utc_now())).requests_left == 0
        spender.know(max_tokens_per_month=10**6, max_requests_per_month=11, seq=2)
        run = spender.submit()
        assert run is not None
        assert spender.submit() is None
        cancel_run(spender.runs, spender.budgets, spender.tenant_id, run.run_id, now=utc_now(), if_match=None)
        assert spender.spend_at_once(8) == 1
        show(f"{len(spender.all_runs()) - 1} runs at a limit of 10 and then 11 requests")


class TestProcesses:
    def test_two_use_nearly_all_and_never_more(self, endpoint: str, spender: Spender, show: Show) -> None:
        spender.know(max_tokens_per_month=LIMIT)
        workers = [_start(endpoint, spender) for _ in range(2)]
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
        spent = _assert_true(spender, LIMIT)
        show(f"two processes: {spent} of {LIMIT} tokens ({spent * 100 // LIMIT} %)")
        assert spent * 100 >= LIMIT * 95

    def test_that_are_killed_leave_nothing_open_and_never_use_more(
        self, endpoint: str, spender: Spender, show: Show
    ) -> None:
        limit, period, later = 5 * LIMIT, month_of(utc_now()), utc_now()
        spender.know(max_tokens_per_month=limit)
        left_open = lost = swept = 0
        for _ in range(2):
            known = len(spender.all_runs())
            worker = _start(endpoint, spender, SLOW, max_output_tokens=500)
            wait_for(
                lambda known=known: _ended(spender) > known and _is_calling(spender),
                what="it has brought a run to its end, and has others under way",
            )
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
            left_open += len(spender.budget(period).open)
            later += timedelta(hours=1)
            lost += len(reap(spender.runs, spender.budgets, now=later).results)
            for run in spender.all_runs():
                spender.execute(run)
            swept += sum(sweep_budgets(spender.budgets, spender.runs, spender.access, now=later).results)
        spent = _assert_true(spender, limit, period)
        runs = spender.all_runs()
        assert all(run.status.final for run in runs)
        uncertain = sum(run.usage.get(Meter.TOKENS_UNCERTAIN, 0) for run in runs)
        assert 0 < uncertain < spent
        show(
            f"two kills: {left_open} calls left open, {lost} runs given back, {swept} calls swept; "
            f"{spent} of {limit} tokens by {len(runs)} runs, {uncertain} of them uncertain"
        )


class TestChanges:
    def test_of_the_plan_in_the_middle_of_runs_are_obeyed(self, spender: Spender, show: Show) -> None:
        limits = (LIMIT, LIMIT // 4, 2 * LIMIT)
        used: list[int] = []
        for seq, limit in enumerate(limits, start=1):
            spender.know(max_tokens_per_month=limit, seq=seq)
            spender.spend_at_once(16, "Go on. [[tokens 900]]")
            used.append(spender.spent_tokens(month_of(utc_now())))
        assert used[0] <= LIMIT
        assert used[0] > LIMIT // 4
        assert used[1] == used[0]
        assert used[2] > used[1]
        _assert_true(spender, 2 * LIMIT)
        show(f"under limits of {limits} in turn: {used} tokens")

    def test_of_the_month_in_the_middle_of_runs_count_each_call_where_it_was_reserved(
        self, spender: Spender, show: Show
    ) -> None:
        spender.know(max_tokens_per_month=LIMIT)
        spender.clock = _clock_that_passes(datetime(2027, 2, 1, tzinfo=UTC))
        spender.spend_at_once(12, "[[error 503]]")
        periods = [call.period for run in spender.all_runs() for call in run.calls]
        assert set(periods) == {"2027-01", "2027-02"}
        assert any(len({call.period for call in run.calls}) == 2 for run in spender.all_runs())
        assert all(run.status is Status.FAILED for run in spender.all_runs())
        for period in ("2027-01", "2027-02"):
            _assert_true(spender, LIMIT, period)
        assert spender.budget("2027-01").requests_left - spender.budget("2027-02").requests_left < 0
        show(f"{periods.count('2027-01')} calls in January, {periods.count('2027-02')} in February, of 12 runs")


def _start(
    endpoint: str, spender: Spender, message: str = MESSAGE, *, max_output_tokens: int | None = None
) -> "subprocess.Popen[bytes]":
    """A worker process that spends until nothing is left."""
    cap = [str(max_output_tokens)] if max_output_tokens else []
    command = [sys.executable, "-m", "tests.journeys.spender", endpoint, TABLE, spender.tenant_id, message, *cap]
    return subprocess.Popen(command, cwd=ROOT)  # noqa: S603 — our own program


def _ended(spender: Spender) -> int:
    return sum(run.status.final for run in spender.all_runs())


def _is_calling(spender: Spender) -> bool:
    return any(run.status is Status.RUNNING and run.open_call for run in spender.all_runs())


def _clock_that_passes(moment: datetime) -> Callable[[], datetime]:
    """Each look at it takes a tenth of a second; the moment comes when sixty have been taken."""
    ticks: Iterator[int] = count(-60)
    return lambda: moment + timedelta(milliseconds=100 * next(ticks))
