"""What the billing service is made of."""

from services.billing import api, consumer
from services.billing.table import SLICE
from shared.declaration import Access, Function, Service
from shared.events.billing import SubscriptionChanged, UsageSynced
from shared.events.tenants import SAID_BY_ALL

SERVICE = Service(
    name="billing",
    purpose="Billing: what a tenant is billed by, and its customer record.",
    slice=SLICE,
    functions=(
        Function("api", "services.billing.api.handler", access=Access.TENANT, routes=api.app.routes),
        Function("consumer", "services.billing.consumer.consumer", subscriptions=consumer.consumer.types),
        Function("remover", "services.billing.consumer.remover", subscriptions=consumer.remover.types, timeout_s=900),
    ),
    emits=(*SAID_BY_ALL, SubscriptionChanged.TYPE, UsageSynced.TYPE),
)
