"""All that is not HTTP: the events of tenants."""

from services.billing import operations, table, wiring
from shared.copies.tenant_access import TENANT_CHANGES
from shared.events.envelope import Event
from shared.events.metering import UsageTenantClosed
from shared.events.tenants import TenantCreated, TenantDeletionRequested, TenantState
from shared.messaging.consumer import EventConsumer
from shared.removal import remover as remover_of
from shared.storage.inbox import Delivery

consumer = EventConsumer("billing.consumer", is_deleted=wiring.is_deleted)
remover = remover_of("billing", store=wiring.slice_store, traces=table.TRACES)


@consumer.on(TenantCreated)
def create_customer(event: Event[TenantCreated], _: Delivery) -> None:
    """The tenant is a customer, and its copy is as new as the event; both are harmless the second time."""
    wiring.copies().keep(event)
    operations.create_customer(wiring.slice_store(), event)


@consumer.on(*TENANT_CHANGES, TenantDeletionRequested)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """The copy of the tenant is as new as the event."""
    wiring.copies().keep(event)


@consumer.on(UsageTenantClosed)
def finish_sync(event: Event[UsageTenantClosed], _: Delivery) -> None:
    """Nothing of the tenant is left to be synced."""
    operations.finish_sync(wiring.slice_store(), event)
