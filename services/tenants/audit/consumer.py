"""The handler of changes, which arrive as events of every service."""

from services.tenants import wiring
from services.tenants.audit.table import AuditLog
from shared.events.envelope import Event
from shared.events.tenants import ChangeRecorded
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery

events = EventRouter()


@events.on(ChangeRecorded)
def add_entry(event: Event[ChangeRecorded], _: Delivery) -> None:
    """Add the change to the tenant's audit log."""
    AuditLog(wiring.slice_store(), event.tenant_id).record(event)
