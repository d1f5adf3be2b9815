"""The HTTP API for tenants."""

from services.metering import wiring
from services.metering.dashboard import api as dashboard
from services.metering.ingestion import api as ingestion
from services.metering.ledger import api as ledger
from services.metering.usage import api as usage
from shared.http.app import HttpApp

handler = HttpApp(
    dashboard.router,
    ledger.router,
    ingestion.router,
    usage.router,
    access=wiring.access,
    store=wiring.tenant_store,
)
