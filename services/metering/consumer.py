"""All that is not HTTP: the events of runs and tenants."""

from collections.abc import Mapping, Sequence

from services.metering import operations, table, wiring
from shared.copies.tenant_access import TENANT_STATES
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped, UsageRecorded
from shared.events.tenants import TenantState
from shared.messaging.consumer import EventConsumer
from shared.removal import remover as remover_of
from shared.storage.inbox import Delivery

consumer = EventConsumer("metering.consumer", is_deleted=wiring.is_deleted)
remover = remover_of("metering", store=wiring.slice_store, traces=table.TRACES)


@consumer.on_batch(UsageRecorded)
def count_usage(events: Sequence[Event[UsageRecorded]]) -> Mapping[str, Exception]:
    """Usage is in the ledger and in the counters, once."""
    return operations.count_usage(wiring.slice_store(), events)


@consumer.on(*TENANT_STATES)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """The copy of the tenant is as new as the event; `seq` makes a second delivery harmless."""
    wiring.copies().keep(event)


@consumer.on(TenantRunsStopped)
def close_tenant(event: Event[TenantRunsStopped], _: Delivery) -> None:
    """Nothing of the tenant is left to be counted."""
    operations.close_tenant(wiring.slice_store(), event)
