"""What the metering service is made of."""

from services.metering import api, consumer
from services.metering.table import SLICE
from shared.declaration import Access, Function, Service
from shared.events.metering import UsageCorrected, UsageHourClosed, UsageTenantClosed

SERVICE = Service(
    name="metering",
    purpose="Metering: every use counted exactly once, in a ledger and in counters by the hour.",
    slice=SLICE,
    functions=(
        Function("api", "services.metering.api.handler", access=Access.TENANT, routes=api.app.routes),
        Function("consumer", "services.metering.consumer.consumer", subscriptions=consumer.consumer.types),
    ),
    emits=(UsageHourClosed.TYPE, UsageCorrected.TYPE, UsageTenantClosed.TYPE),
)
