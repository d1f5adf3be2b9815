"""What a client can do with a run that is under way: cancel it, and hand in the outputs of tools."""

from collections.abc import Callable, Mapping
from datetime import datetime

from services.runs.domain import lifecycle
from services.runs.domain.run import Run, Status
from services.runs.errors import LeaseLost
from services.runs.table.runs import RunTable
from shared.errors import Conflict
from shared.http.etag import check_if_match

_TRIES = 5


def cancel_run(runs: RunTable, tenant_id: str, run_id: str, *, now: datetime, if_match: str | None) -> Run:
    """Cancel a run: at once when nothing is under way, else its worker is asked to stop.

    Raises:
        RunNotFound, RunAlreadyEnded: there is nothing to cancel.
    """

    def attempt() -> Run:
        run = runs.get(tenant_id, run_id)
        check_if_match(if_match, run.seq)
        after, events = lifecycle.cancel(run, now=now)
        if run.status is Status.RUNNING:
            runs.request_cancel(run, now=now)
        else:
            runs.save(run, after, events)
        return after

    return _until_alone(attempt)


def hand_in_tool_outputs(
    runs: RunTable, tenant_id: str, run_id: str, outputs: Mapping[str, str], *, now: datetime
) -> Run:
    """Let a run go on with what its tools have given; the same again changes nothing.

    Raises:
        RunNotFound: there is no such run.
        ToolOutputsMismatch, RunAlreadyEnded: these outputs were not asked for.
    """

    def attempt() -> Run:
        run = runs.get(tenant_id, run_id)
        after, events = lifecycle.take_tool_outputs(run, outputs, now=now)
        if after is not run:
            runs.save(run, after, events)
        return after

    return _until_alone(attempt)


def _until_alone(attempt: Callable[[], Run]) -> Run:
    """Load, decide, save; and again when the run has moved on in between."""
    for _ in range(_TRIES):
        try:
            return attempt()
        except LeaseLost:
            continue
    msg = "The run is changing too quickly; try again."
    raise Conflict(msg)
