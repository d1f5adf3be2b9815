"""What the billing service is made of."""

from services.billing import api, consumer
from services.billing.table import SLICE
from services.billing.table.notices import KEYS
from shared.declaration import USUAL_ALARMS, Access, Function, Service, exporter_of, remover_of
from shared.events.billing import InvoicePaid, InvoicePaymentFailed, SubscriptionChanged, UsageSynced
from shared.events.tenants import SAID_BY_ALL

_STRIPE = ("stripe/secret",)

SERVICE = Service(
    name="billing",
    purpose="Billing: customers, their plans and invoices, and the usage that Stripe charges for.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.billing.api.handler",
            access=Access.TENANT,
            routes=api.application.app.routes,
            secrets=_STRIPE,
        ),
        Function(
            "operators",
            "services.billing.api.operators_handler",
            routes=api.operators.app.routes,
            reads_due=True,
            secrets=_STRIPE,
        ),
        Function(
            "webhook",
            "services.billing.api.webhook",
            access=Access.NONE,
            routes=api.webhook.routes,
            secrets=_STRIPE,
            keys=(KEYS,),
            sends_to=("inbox",),
        ),
        Function("inbox", "services.billing.consumer.inbox", secrets=_STRIPE, keys=(KEYS,), queued=True, timeout_s=60),
        Function(
            "consumer",
            "services.billing.consumer.consumer",
            subscriptions=consumer.consumer.types,
            secrets=_STRIPE,
            timeout_s=60,
        ),
        remover_of("billing", "services.billing.consumer.remover", consumer.remover.types),
        exporter_of("billing", "services.billing.consumer.exporter", consumer.exporter.types),
        Function(
            "sweep",
            "services.billing.consumer.sweep",
            reads_due=True,
            every_minutes=1,
            secrets=_STRIPE,
            keys=(KEYS,),
            timeout_s=60,
        ),
        Function("admin", "services.billing.consumer.admin", reads_due=True, secrets=_STRIPE, timeout_s=300),
    ),
    emits=(*SAID_BY_ALL, SubscriptionChanged.TYPE, InvoicePaid.TYPE, InvoicePaymentFailed.TYPE, UsageSynced.TYPE),
    alarms=(
        *USUAL_ALARMS,
        "sync-lag",
        "billing-failing",
        "webhook-failures",
        "duplicate-subscriptions",
        "drift",
        "quarantine",
    ),
)
