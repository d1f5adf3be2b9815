"""Runs to start a test from."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.runs.domain import lifecycle
from services.runs.domain.lifecycle import Change
from services.runs.domain.run import ModelAnswer, PlannedCall, Run, Status
from shared.meters import Meter
from shared.stored import Stored

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)
TENANT = "demo-org"
RUN_ID = "run_01M82VGJKEZJ1F4SK5FD3YPW7Y"
AGENT_ID = "agt_01M82VGHY7E1632V616JPWX2SA"
CALL = PlannedCall(provider="simulated", model="gpt-4", simulated=True, bound_tokens=150, max_output_tokens=100)
ANSWER = ModelAnswer("Hello", {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 1})


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
        "request_id": "request",
        "now": NOW,
    }
    return lifecycle.submit(TENANT, waited=waited, **asked | changes)


def taken(run: Run) -> Run:
    """The run when a worker has leased it for its next attempt."""
    return replace(
        run,
        status=Status.RUNNING,
        attempt=run.attempt + 1,
        seq=run.seq + 1,
        started_at=run.started_at or NOW,
        call_started_at=NOW,
        due_at=NOW + lifecycle.LEASE,
    )


def running(*, attempt: int = 1) -> Run:
    """A run in this attempt, its call open."""
    return replace(taken(submitted()[0]), attempt=attempt)
