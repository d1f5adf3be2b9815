"""Events of hourly usage, and commands of the usage sync."""

from typing import Any

from services.billing import wiring
from services.billing.usage_sync.domain import HourUsage
from services.billing.usage_sync.operations import booking, sweeping
from services.billing.usage_sync.operations.booking import Unsent
from services.billing.usage_sync.operations.sweeping import SIMULTANEOUS_ENTRIES
from services.billing.usage_sync.schemas import FlushCommand
from shared.events.envelope import Event
from shared.events.metering import UsageCorrected, UsageHourClosed
from shared.messaging.commands import CommandRouter
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery
from shared.times import utc_now

events = EventRouter()
commands = CommandRouter()


@events.on(UsageHourClosed)
def send_hour(event: Event[UsageHourClosed], delivery: Delivery) -> None:
    """Store the usage of the hour and send the billed part of it to Stripe."""
    payload = event.data
    _ingest_hour(event.tenant_id, HourUsage(payload.hour, 0, payload.meters, payload.events), delivery)


@events.on(UsageCorrected)
def send_correction(event: Event[UsageCorrected], delivery: Delivery) -> None:
    """Store the correction and book its billed part into the sync ledger. The sweep sends it."""
    payload = event.data
    # One tenant can cause many corrections. The sweep alternates between tenants, so they delay no other tenant.
    used = HourUsage(payload.hour, payload.rev, payload.meters, payload.events)
    _ingest_hour(event.tenant_id, used, delivery, send_now=False)


def _ingest_hour(tenant_id: str, used: HourUsage, delivery: Delivery, *, send_now: bool = True) -> None:
    store, gateway = wiring.slice_store(), wiring.find_stripe_gateway()
    booking.ingest_hour(store, gateway, tenant_id, used, now=delivery.received_at, send_now=send_now)


@commands.on("flush", FlushCommand)
def flush(command: FlushCommand) -> dict[str, Any]:
    """Send all unsent usage of one tenant or of all; return the amount that is left, and the reasons."""
    store, gateway, now = wiring.slice_store(), wiring.stripe_gateway(), utc_now()
    if command.tenant_id:
        return _unsent_response(booking.flush(store, gateway, command.tenant_id, now=now))
    result, unsent = sweeping.flush_all(store, gateway, now=now, concurrency=SIMULTANEOUS_ENTRIES)
    return {"looked_at": result.swept.handled + result.swept.failed, **_unsent_response(unsent)}


def _unsent_response(unsent: Unsent) -> dict[str, Any]:
    return {
        "all_sent": unsent.all_sent,
        "unsent": unsent.open,
        "rejected": unsent.rejected,
        "reasons": list(unsent.reasons),
    }
