"""The end of all runs of a tenant that is being deleted."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.events.envelope import Event, happened
from shared.events.runs import TenantRunsStopped

QUIET = timedelta(seconds=30)
"""What was asked for before the deletion is written by then: no function that takes runs lives longer."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A tenant whose runs are to end."""

    tenant_id: str
    seq: int
    """The version of the tenant that says so."""
    since: datetime

    def is_over(self, *, runs_left: int, now: datetime) -> bool:
        """Whether no run is under way, and none can come."""
        return runs_left == 0 and now - self.since >= QUIET


def end_stop(stop: Stop, *, now: datetime) -> Event[TenantRunsStopped]:
    """What is to be said when all runs have ended."""
    return happened(
        TenantRunsStopped(),
        event_id=f"{stop.tenant_id}:runs_stopped",
        tenant_id=stop.tenant_id,
        subject=stop.tenant_id,
        seq=stop.seq,
        at=now,
    )
