"""The schedule, the event and the command that close hours."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from services.metering import wiring
from services.metering.hours.operations import closing, maintenance
from services.metering.hours.operations.maintenance import DueKind
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped
from shared.messaging.commands import CommandRouter
from shared.messaging.consumer import EventRouter
from shared.messaging.schedule import WorkReport, scheduled
from shared.storage.inbox import Delivery
from shared.times import utc_now

_CONCURRENCY = 16
"""Entries that are handled at the same time. They mostly wait for DynamoDB, so one CPU can handle this many."""

events = EventRouter()
commands = CommandRouter()


@scheduled("closed")
def close_due() -> WorkReport:
    """Sample storage, close hours and repeat summaries that are due; runs every minute."""
    done, swept = maintenance.sweep_due(wiring.slice_store(), now=utc_now(), concurrency=_CONCURRENCY)
    facts = {"sampled": done[DueKind.STORAGE], "revisions": done[DueKind.HOUR], "summarized": done[DueKind.SUMMARY]}
    return facts, swept.metrics


@events.on(TenantRunsStopped)
def close_tenant(event: Event[TenantRunsStopped], delivery: Delivery) -> None:
    """Close all open hours of a tenant that is being deleted."""
    closing.close_tenant(wiring.slice_store(), event, now=delivery.received_at)


class CloseInput(BaseModel):
    """The tenant whose hours to close."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str
    running: bool = False


@commands.on("close", CloseInput)
def close(command: CloseInput) -> dict[str, Any]:
    """Close the open revisions of a tenant early. Later usage is counted in a correction."""
    closed = closing.close_early(wiring.slice_store(), command.tenant_id, running=command.running, now=utc_now())
    return {"closed": closed}
