"""Items of runs: their attributes keep the names and values that earlier releases wrote."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopyTable, VersionCopyTable
from services.runs.budgets.domain import Budget, Grant, PlanLimits, Reservation, Slots
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.budgets.table.months import MonthTable
from services.runs.partitions import SLICE
from services.runs.runs.domain.conversation import Message, ToolCall
from services.runs.runs.domain.run import (
    Attempt,
    Call,
    CallId,
    FinishReason,
    InvalidOutput,
    LimitedBy,
    OpenCall,
    Outcome,
    Run,
    RunError,
    Status,
)
from services.runs.runs.table.calls import CallTable
from services.runs.runs.table.runs import RunTable
from services.runs.tenants.domain import RunStop
from services.runs.tenants.table import StopTable
from shared.document_ref import DocumentRef
from shared.ids import milliseconds
from shared.meters import Meter
from shared.plans import LIMITS, Plan
from shared.storage.objects import Artifacts
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import Transaction
from tests.dynamodb.memory import MemoryDynamoDB

AT, AT_TEXT = datetime(2026, 11, 22, 20, 13, 7, tzinfo=UTC), "2026-11-22T20:13:07.000Z"
LATER, LATER_TEXT = datetime(2026, 11, 22, 20, 14, 7, tzinfo=UTC), "2026-11-22T20:14:07.000Z"
AT_MS = milliseconds(AT)
RUN_ID = "run_01M82WAJ58T4PH3ZQV9M0QDBQ3"
CONFIG = DocumentRef("k", "5ha")
CALL = Call(
    1,
    "openai",
    "gpt-4",
    simulated=False,
    status=Outcome.FAILED,
    meters={Meter.REQUESTS: 1, Meter.TOKENS_UNCERTAIN: 30},
    cost_nano_usd=None,
    price_version="list 1",
    error_code="Busy",
    period="2026-11",
    started_at=AT,
    ended_at=LATER,
    bound_nano_usd=7,
    limited_by=LimitedBy.BUDGET,
    omitted=("seed",),
    finish_reason=FinishReason.LENGTH,
    usage_estimated=True,
)
CALL_ITEM: dict[str, Any] = {
    "number": 1,
    "provider": "openai",
    "model": "gpt-4",
    "simulated": False,
    "status": "failed",
    "meters": {"requests": 1, "tokens_uncertain": 30},
    "price_version": "list 1",
    "error_code": "Busy",
    "period": "2026-11",
    "started_at": AT_TEXT,
    "ended_at": LATER_TEXT,
    "bound_nano_usd": 7,
    "limited_by": "budget",
    "omitted": ["seed"],
    "finish_reason": "length",
    "usage_estimated": True,
}
MakeTable = Callable[[Store, str], TenantTable[Any]]


def make_runs(store: Store, tenant_id: str) -> RunTable:
    """Return the runs of a tenant. None of these tests reads the bucket."""
    return RunTable(store, tenant_id, Payloads(Artifacts(cast("Any", None), bucket="none")))


ITEMS: Mapping[str, tuple[MakeTable, object, dict[str, Any]]] = {
    "agent": (
        AgentCopyTable,
        AgentCopy("agt_1", 3, "prj_1", 2, 4, deleted=False, received_at=AT),
        {
            "PK": "TENANT#acme#RUNS",
            "SK": "COPY#AGENT#agt_1",
            "seq": 3,
            "project_id": "prj_1",
            "live_version": 2,
            "latest_version": 4,
            "deleted": False,
            "heard_at": AT_TEXT,
        },
    ),
    "deleted agent": (
        AgentCopyTable,
        AgentCopy("agt_1", 9, None, 0, 0, deleted=True, received_at=AT),
        {
            "PK": "TENANT#acme#RUNS",
            "SK": "COPY#AGENT#agt_1",
            "seq": 9,
            "project_id": None,
            "live_version": 0,
            "latest_version": 0,
            "deleted": True,
            "heard_at": AT_TEXT,
        },
    ),
    "version": (
        VersionCopyTable,
        VersionCopy("agt_1", 12, DocumentRef("tenants/acme/agents/agt_1/versions/12.json", "5ha")),
        {
            "PK": "TENANT#acme#RUNS",
            "SK": "COPY#VERSION#agt_1#0000012",
            "seq": 1,
            "config_key": "tenants/acme/agents/agt_1/versions/12.json",
            "config_sha256": "5ha",
        },
    ),
    "stop": (
        StopTable,
        RunStop("acme", 4, AT, checked_to="run_1"),
        {
            "PK": "TENANT#acme#RUNS",
            "SK": "STOPPING",
            "tenant_id": "acme",
            "seq": 4,
            "since": AT_TEXT,
            "checked_to": "run_1",
            "due_pk": "DUE#RUNS#STOPPING",
            "due_sk": f"{AT_TEXT}#acme",
        },
    ),
    "running run": (
        make_runs,
        Run(
            "run_1",
            "acme",
            Status.RUNNING,
            "agt_1",
            2,
            None,
            CONFIG,
            {"message": "Hi"},
            {"a": "b"},
            10,
            None,
            "req_1",
            created_at=AT,
            due_at=LATER,
            queued_at=(AT, LATER),
            plan="pro",
            trace_id="1-2",
            artifacts={"inputs": 3},
            slot_period="2026-11",
            published_at=AT,
            publications=2,
            seq=5,
            attempts=(Attempt(Outcome.LOST, AT, LATER, (CALL,)), Attempt(Outcome.RUNNING, LATER)),
            open_call=OpenCall(1, "openai", "gpt-4", False, 100, 10, "2026-11"),  # noqa: FBT003 — not simulated
            call_started_at=LATER,
            cancel_requested=True,
            turns=(Message("assistant", "x", (ToolCall("c", "f", "{}"),)),),
            started_at=AT,
        ),
        {
            "PK": "TENANT#acme#RUNS#RUN#run_1",
            "SK": "RUN",
            "list_pk": "TENANT#acme#RUNS#LIST",
            "list_sk": "run_1",
            "due_pk": "DUE#RUNS#RUN",
            "due_sk": f"{LATER_TEXT}#run_1",
            "due_at": LATER_TEXT,
            "run_id": "run_1",
            "tenant_id": "acme",
            "status": "running",
            "agent_id": "agt_1",
            "version": 2,
            "project_id": None,
            "config": {"key": "k", "sha256": "5ha"},
            "inputs": {"json": '{"message":"Hi"}'},
            "metadata": {"json": '{"a":"b"}'},
            "turns": {
                "json": '{"turns":[{"role":"assistant","content":"x","tool_calls":'
                '[{"id":"c","name":"f","arguments":"{}"}],"tool_call_id":null}]}'
            },
            "artifacts": {"inputs": 3},
            "max_output_tokens": 10,
            "request_id": "req_1",
            "seq": 5,
            "attempt": 2,
            "attempts": [
                {"outcome": "lost", "leased_at": AT_TEXT, "calls": [CALL_ITEM], "ended_at": LATER_TEXT},
                {"outcome": "running", "leased_at": LATER_TEXT, "calls": []},
            ],
            "open_call": {
                "number": 1,
                "provider": "openai",
                "model": "gpt-4",
                "simulated": False,
                "bound_tokens": 100,
                "max_output_tokens": 10,
                "period": "2026-11",
                "bound_nano_usd": None,
                "limited_by": None,
            },
            "call_started_at": LATER_TEXT,
            "cancel_requested": True,
            "created_at": AT_TEXT,
            "queued_at": [AT_TEXT, LATER_TEXT],
            "plan": "pro",
            "trace_id": "1-2",
            "started_at": AT_TEXT,
            "slot_period": "2026-11",
            "published_at": AT_TEXT,
            "publications": 2,
        },
    ),
    "failed run": (
        make_runs,
        Run(
            "run_2",
            "acme",
            Status.FAILED,
            "agt_1",
            2,
            "prj_1",
            CONFIG,
            {"message": "Hi"},
            {},
            None,
            5,
            "req_1",
            created_at=AT,
            due_at=None,
            queued_at=(AT,),
            attempts=(Attempt(Outcome.FAILED, AT, LATER),),
            moved_attempts=1,
            output={"m": 1},
            error=RunError("InvalidOutput", "No.", InvalidOutput("{", is_truncated=True, reason="cut")),
            ended_at=LATER,
        ),
        {
            "PK": "TENANT#acme#RUNS#RUN#run_2",
            "SK": "RUN",
            "list_pk": "TENANT#acme#RUNS#LIST",
            "list_sk": "run_2",
            "run_id": "run_2",
            "tenant_id": "acme",
            "status": "failed",
            "agent_id": "agt_1",
            "version": 2,
            "project_id": "prj_1",
            "config": {"key": "k", "sha256": "5ha"},
            "inputs": {"json": '{"message":"Hi"}'},
            "metadata": {"json": "{}"},
            "output": {"json": '{"m":1}'},
            "max_cost_nano_usd": 5,
            "request_id": "req_1",
            "seq": 1,
            "attempt": 1,
            "attempts": [{"outcome": "failed", "leased_at": AT_TEXT, "calls": [], "ended_at": LATER_TEXT}],
            "moved_attempts": 1,
            "error": {
                "code": "InvalidOutput",
                "message": "No.",
                "details": {"output": "{", "truncated": True, "reason": "cut"},
            },
            "created_at": AT_TEXT,
            "queued_at": [AT_TEXT],
            "ended_at": LATER_TEXT,
        },
    ),
}
MONTH_ITEM: Mapping[str, Any] = {
    "PK": "TENANT#acme#RUNS#BUDGET#2026-11",
    "SK": "BUDGET",
    "tenant_id": "acme",
    "period": "2026-11",
    "seq": 3,
    "requests_limit": 100,
    "tokens_limit": 5_000,
    "overage": False,
    "runs_limit": 50,
    "requests_left": 99,
    "tokens_left": 4_930,
    "open": {"01M82T4PH3ZQV9M0QDBQ3_1_1": {"run_id": RUN_ID, "tokens": 70, "at": AT_MS}},
    "executing": {RUN_ID: AT_MS},
    "slots_limit": 50,
    "waiting": 0,
    "waiting_at": AT_MS,
    "moved_to": "",
    "due_pk": "DUE#RUNS#BUDGET",
    "due_sk": f"{LATER_TEXT}#acme",
}


def without_defaults(value: Any) -> Any:  # noqa: ANN401 — any attribute
    """Return a value without NULL and empty lists, which mean the same as missing attributes."""
    if isinstance(value, dict):
        return {name: without_defaults(one) for name, one in value.items() if one not in (None, [])}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [without_defaults(one) for one in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


def new_store() -> Store:
    return Store(MemoryDynamoDB(), table="entities", owned=SLICE)


@pytest.mark.parametrize("name", ITEMS)
def test_of_earlier_releases_are_read_and_written_alike(name: str) -> None:
    make, record, item = ITEMS[name]
    table = make(new_store(), "acme")
    assert table.decode(item) == record
    assert table.item(record) == without_defaults(item)


def test_moved_calls_of_earlier_releases_are_read() -> None:
    store, (_, failed, _) = new_store(), ITEMS["failed run"]
    assert isinstance(failed, Run)
    transaction = Transaction("acme")
    transaction.put({"PK": "TENANT#acme#RUNS#RUN#run_2", "SK": "CALLS#001", "calls": [CALL_ITEM]})
    store.commit(transaction)
    assert CallTable(store, "acme").load(failed).calls == (CALL,)


class TestMonth:
    def test_is_written_as_by_earlier_releases(self) -> None:
        store, limits = new_store(), PlanLimits(3, 100, 5_000, overage=False, runs=50)
        budgets = BudgetTable(store, "acme")
        budgets.create("2026-11", Budget.fresh(limits))
        budgets.slots.open("2026-11", limits, now=AT)
        call = Reservation(CallId(RUN_ID, 1, 1), 70, AT_MS)
        assert not budgets.reserve(
            "2026-11", call, Grant(70, 70), limits=limits, max_open=10, swept_at=LATER, takes_slot=True
        )
        assert store.get(MonthTable(store, "acme", "2026-11").key()) == MONTH_ITEM

    def test_is_read(self) -> None:
        assert MonthTable(new_store(), "acme", "2026-11").decode(MONTH_ITEM) == Budget(
            PlanLimits(3, 100, 5_000, overage=False, runs=50),
            requests_left=99,
            tokens_left=4_930,
            open={"01M82T4PH3ZQV9M0QDBQ3_1_1": Reservation(CallId(RUN_ID, 1, 1), 70, AT_MS)},
            slots=Slots({RUN_ID: AT_MS}, 50, waiting=0, waiting_since_ms=AT_MS),
        )

    def test_of_before_there_were_slots_has_the_limit_of_the_free_plan(self) -> None:
        of_slots = {"runs_limit", "executing", "slots_limit", "waiting", "waiting_at", "moved_to"}
        old = {name: value for name, value in MONTH_ITEM.items() if name not in of_slots}
        budget = MonthTable(new_store(), "acme", "2026-11").decode(old)
        assert (budget.slots, budget.limits.runs) == (None, LIMITS[Plan.FREE].max_concurrent_runs)
