"""The end of all runs of a tenant that is being deleted."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.events.envelope import Event, new_event
from shared.events.runs import TenantRunsStopped

QUIET_PERIOD = timedelta(seconds=30)
"""Every request from before the deletion is written by then: no function that accepts runs lives longer."""


@dataclass(frozen=True, slots=True)
class RunStop:
    """A tenant whose runs must end."""

    tenant_id: str
    seq: int
    """The tenant's version that marks it as deleted."""
    since: datetime
    checked_to: str | None = None
    """The id of the oldest checked run. It and all newer runs have ended. None if none was checked."""

    def is_quiet(self, *, now: datetime) -> bool:
        """Return whether no further run can come."""
        return now - self.since >= QUIET_PERIOD

    def is_over(self, *, runs_left: int, now: datetime) -> bool:
        """Whether no run is under way, and none can come."""
        return runs_left == 0 and self.is_quiet(now=now)


def stopped_event(stop: RunStop, *, now: datetime) -> Event[TenantRunsStopped]:
    """Return the event that all runs have ended."""
    return new_event(
        TenantRunsStopped(),
        event_id=f"{stop.tenant_id}:runs_stopped",
        tenant_id=stop.tenant_id,
        subject=stop.tenant_id,
        seq=stop.seq,
        at=now,
    )
