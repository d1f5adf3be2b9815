"""The API of a tenant's billing."""

from services.billing import wiring
from services.billing.charges import api as charges
from services.billing.invoices import api as invoices
from services.billing.subscriptions import api as subscriptions
from shared.http.app import HttpApp

handler = HttpApp(
    subscriptions.router, charges.router, invoices.router, access=wiring.access, store=wiring.tenant_store
)
