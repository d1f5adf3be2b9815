"""Declaration of the billing service."""

from services.billing.functions import api, consumer, exporter, operators, remover, webhook
from services.billing.partitions import SLICE
from services.billing.stripe_webhooks.table import KEY_PATTERN
from shared.declaration import USUAL_ALARMS, Access, Function, Service, exporter_of, remover_of
from shared.events.billing import InvoicePaid, InvoicePaymentFailed, SubscriptionChanged, UsageSynced
from shared.events.tenants import PUBLISHED_BY_ALL

_STRIPE = ("stripe/secret",)

SERVICE = Service(
    name="billing",
    purpose="Billing: customers, their plans and invoices, and the usage that Stripe charges for.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.billing.functions.api.handler",
            access=Access.TENANT,
            routes=api.handler.routes,
            secrets=_STRIPE,
        ),
        Function(
            "operators",
            "services.billing.functions.operators.handler",
            routes=operators.handler.routes,
            reads_due=True,
            secrets=_STRIPE,
        ),
        Function(
            "webhook",
            "services.billing.functions.webhook.handler",
            access=Access.NONE,
            routes=webhook.handler.routes,
            secrets=_STRIPE,
            keys=(KEY_PATTERN,),
            sends_to=("inbox",),
        ),
        Function(
            "inbox",
            "services.billing.functions.inbox.handler",
            secrets=_STRIPE,
            keys=(KEY_PATTERN,),
            queued=True,
            timeout_s=60,
        ),
        Function(
            "consumer",
            "services.billing.functions.consumer.handler",
            subscriptions=consumer.handler.types,
            secrets=_STRIPE,
            timeout_s=60,
        ),
        remover_of("billing", "services.billing.functions.remover.handler", remover.handler.types),
        exporter_of("billing", "services.billing.functions.exporter.handler", exporter.handler.types),
        Function(
            "sweep",
            "services.billing.functions.sweep.handler",
            reads_due=True,
            every_minutes=1,
            secrets=_STRIPE,
            keys=(KEY_PATTERN,),
            timeout_s=60,
        ),
        Function(
            "commands", "services.billing.functions.commands.handler", reads_due=True, secrets=_STRIPE, timeout_s=300
        ),
    ),
    emits=(*PUBLISHED_BY_ALL, SubscriptionChanged.TYPE, InvoicePaid.TYPE, InvoicePaymentFailed.TYPE, UsageSynced.TYPE),
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
