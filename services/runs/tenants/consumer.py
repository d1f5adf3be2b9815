"""Event handlers that keep the copies of tenants, and stop the runs of a tenant that is being deleted."""

from services.runs import wiring
from services.runs.tenants.operations import begin_stop
from shared.copies.tenant_access import TENANT_CHANGES
from shared.events.envelope import Event
from shared.events.tenants import TenantCreated, TenantDeletionRequested, TenantState
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery

events = EventRouter()


@events.on(TenantCreated, *TENANT_CHANGES)
def update_tenant(event: Event[TenantState], _: Delivery) -> None:
    """Update the copy of the tenant: its status, plan and features."""
    wiring.copies().keep(event)


@events.on(TenantDeletionRequested)
def stop_runs(event: Event[TenantDeletionRequested], delivery: Delivery) -> None:
    """Prevent new runs; the reaper cancels those under way and publishes an event when all have ended."""
    wiring.copies().keep(event)
    begin_stop(wiring.slice_store(), event.tenant_id, seq=event.seq, now=delivery.received_at)
