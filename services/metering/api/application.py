"""The application whose routes the modules beside this one add."""

from services.metering import wiring
from shared.http.app import HttpApp

app = HttpApp(access=wiring.access, store=wiring.tenant_store)

TENANT = "/v1/tenants/{tenant_id}"
