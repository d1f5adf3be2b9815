"""Runs to start a test from."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.runs.domain import lifecycle
from services.runs.domain.lifecycle import Change
from services.runs.domain.run import Attempt, CallEnd, OpenCall, Outcome, Run, Status
from shared.meters import Meter
from shared.stored import Stored

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)
TENANT = "demo-org"
TRACE_ID = "1-6923f2b9-0c1d2e3f4a5b6c7d8e9fa0b1"
RUN_ID = "run_01M82VGJKEZJ1F4SK5FD3YPW7Y"
AGENT_ID = "agt_01M82VGHY7E1632V616JPWX2SA"
CALL = OpenCall(
    number=1,
    provider="simulated",
    model="gpt-4",
    simulated=True,
    bound_tokens=150,
    max_output_tokens=100,
    period="2026-11",
)
USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 1}
END = CallEnd(Outcome.COMPLETED, USED)
OUTPUT = {"message": "Hello"}


def submitted(*, waited: bool = False, **changes: Any) -> Change:  # noqa: ANN401 — any field of a run
    """A run a moment after its POST."""
    asked: dict[str, Any] = {
        "run_id": RUN_ID,
        "agent_id": AGENT_ID,
        "version": 1,
        "project_id": None,
        "config": Stored("tenants/demo-org/agents/a/versions/1.json", "0" * 64),
        "first_call": CALL,
        "inputs": {"message": "Hi"},
        "metadata": {},
        "max_output_tokens": None,
        "max_cost_nano_usd": None,
        "request_id": "request",
        "trace_id": TRACE_ID,
        "now": NOW,
    }
    return lifecycle.submit(TENANT, waited=waited, **asked | changes)


def taken(run: Run, *, call: OpenCall | None = CALL) -> Run:
    """The run when a worker has leased it for its next attempt and written down its call."""
    return replace(
        run,
        status=Status.RUNNING,
        attempts=(*run.attempts, Attempt(Outcome.RUNNING, leased_at=NOW)),
        open_call=call,
        seq=run.seq + 1,
        started_at=run.started_at or NOW,
        call_started_at=NOW,
        due_at=NOW + lifecycle.LEASE,
    )


def running() -> Run:
    """A run in its first attempt, its call open."""
    return taken(submitted()[0])
