"""What the tenants service is made of."""

from services.tenants import api, consumer
from services.tenants.table import SLICE
from shared.declaration import Access, Function, Service
from shared.events.tenants import (
    SAID_BY_ALL,
    ProjectCreated,
    ProjectDeleted,
    TenantCreated,
    TenantDeleted,
    TenantDeletionRequested,
    TenantPlanChanged,
    TenantReactivated,
    TenantSuspended,
    TenantUpdated,
    UserDisabled,
    UserInvited,
    UserRemoved,
    UserRoleChanged,
)

SERVICE = Service(
    name="tenants",
    purpose="Tenants: the organisations, their limits, users and projects.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.tenants.api.handler",
            access=Access.TENANT,
            routes=api.application.app.routes,
            manages_users=True,
        ),
        Function(
            "operators",
            "services.tenants.api.admin_handler",
            routes=api.admin.app.routes,
            reads_due=True,
        ),
        Function(
            "consumer",
            "services.tenants.consumer.consumer",
            subscriptions=consumer.consumer.types,
            manages_users=True,
            timeout_s=300,
        ),
        Function(
            "remover",
            "services.tenants.consumer.remover",
            subscriptions=consumer.remover.types,
            manages_users=True,
            timeout_s=900,
        ),
        Function("sweep", "services.tenants.consumer.sweep", reads_due=True, manages_users=True, every_minutes=5),
        Function("census", "services.tenants.consumer.census", reads_due=True, every_minutes=60, timeout_s=300),
        Function("admin", "services.tenants.consumer.admin", reads_due=True, manages_users=True),
    ),
    emits=(
        TenantCreated.TYPE,
        TenantUpdated.TYPE,
        TenantPlanChanged.TYPE,
        TenantSuspended.TYPE,
        TenantReactivated.TYPE,
        TenantDeletionRequested.TYPE,
        TenantDeleted.TYPE,
        UserInvited.TYPE,
        UserRoleChanged.TYPE,
        UserDisabled.TYPE,
        UserRemoved.TYPE,
        ProjectCreated.TYPE,
        ProjectDeleted.TYPE,
        *SAID_BY_ALL,
    ),
)
