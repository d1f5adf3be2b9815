"""What the tenants service is made of."""

from services.tenants import api
from services.tenants.table import SLICE
from shared.declaration import Access, Function, Service
from shared.events.tenants import ProjectCreated, ProjectDeleted, TenantCreated, UserInvited

SERVICE = Service(
    name="tenants",
    purpose="Tenants: the organisations, their limits, users and projects.",
    slice=SLICE,
    functions=(
        Function("api", "services.tenants.api.handler", access=Access.TENANT, routes=api.app.routes),
        Function("admin", "services.tenants.consumer.admin", reads_due=True, manages_users=True),
    ),
    emits=(TenantCreated.TYPE, UserInvited.TYPE, ProjectCreated.TYPE, ProjectDeleted.TYPE),
)
