"""The HTTP API of tenants."""

from services.tenants import wiring
from services.tenants.api_keys import api as api_keys
from services.tenants.audit import api as audit
from services.tenants.projects import api as projects
from services.tenants.tenants.api import tenants
from services.tenants.users import api as users
from shared.http.app import HttpApp

handler = HttpApp(
    api_keys.router,
    audit.router,
    projects.router,
    tenants.router,
    users.router,
    access=wiring.access,
    store=wiring.tenant_store,
)
