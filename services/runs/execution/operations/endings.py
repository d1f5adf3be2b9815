"""The ends of an attempt that no answer of a model causes."""

from datetime import datetime

from services.runs.execution.operations.states import Closing
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import CallEnd, Run, RunError
from shared.errors import DependencyUnavailable
from shared.failures import facts_of
from shared.observability import logger

_SUSPENDED = frozenset({"suspended", "suspended_by_billing"})


def refused(run: Run, status: str, *, now: datetime) -> Closing:
    """End the run of a tenant with a status in which nothing may run. Nothing was sent."""
    if status in _SUSPENDED:
        return failed(run, RunError("TenantSuspended", "The tenant was suspended before the run began."), now=now)
    return stopped(run, now=now)


def stopped(run: Run, *, now: datetime) -> Closing:
    """Cancel the run before its call is sent."""
    return Closing(change=lifecycle.finish_cancellation(run, None, now=now))


def failed(run: Run, error: RunError, *, now: datetime) -> Closing:
    """Fail the run before its call is sent."""
    return Closing(change=lifecycle.fail(run, None, error, now=now))


def without_documents(run: Run, *, now: datetime) -> Closing:
    """End the run whose inputs, turns or config are missing in the bucket. Nothing was sent."""
    logger.error("a stored document of a run is missing", run_id=run.run_id)
    error = RunError("DocumentMissing", "The stored inputs, conversation or configuration of the run are missing.")
    return failed(run, error, now=now)


def lease_returned(run: Run, outage: DependencyUnavailable, *, now: datetime) -> Closing:
    """Return the lease, since the open call was not sent.

    The call is not charged, and an attempt without ended calls does not count.
    """
    logger.warning("a run is given back before its call was sent", run_id=run.run_id, **facts_of(outage))
    return Closing(change=lifecycle.release_lease(run, now=now), unless_cancelled=True)


INTERNAL_ERROR = RunError("InternalError", "An unexpected error ended the run. It was not tried again.")
"""The error that a client sees. A retry could cost as much and fail in the same way."""


def unforeseen(run: Run, end: CallEnd | None, *, now: datetime) -> Closing:
    """Fail the run after an unexpected error, with the known usage of its call; None if no call was sent."""
    return Closing(change=lifecycle.fail(run, end, INTERNAL_ERROR, now=now), end=end)
