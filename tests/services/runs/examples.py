"""Example runs."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.lifecycle import Change
from services.runs.runs.domain.run import Attempt, CallEnd, OpenCall, Outcome, PinnedVersion, Run, RunRequest, Status
from shared.document_ref import DocumentRef
from shared.meters import Meter

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
    """Return a run as its POST creates it."""
    fields: dict[str, Any] = {
        "run_id": RUN_ID,
        "agent_id": AGENT_ID,
        "version": 1,
        "inputs": {"message": "Hi"},
        "metadata": {},
        "max_output_tokens": None,
        "max_cost_nano_usd": None,
        "request_id": "request",
        "trace_id": TRACE_ID,
        "project_id": None,
        "config": DocumentRef("tenants/demo-org/agents/a/versions/1.json", "0" * 64),
        "first_call": CALL,
        "now": NOW,
        "plan": "",
    }
    values = fields | changes
    pinned = PinnedVersion(values["version"], values.pop("config"), values.pop("project_id"))
    first_call, now, plan = (values.pop(name) for name in ("first_call", "now", "plan"))
    request = RunRequest(**values, waited=waited)
    return lifecycle.submit(TENANT, request, pinned, first_call=first_call, now=now, plan=plan)


def leased(run: Run, *, call: OpenCall | None = CALL) -> Run:
    """Return the run leased for its next attempt, with its call recorded."""
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
    """Return a run in its first attempt with an open call."""
    return leased(submitted()[0])
