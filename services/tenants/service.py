"""What the tenants service is made of."""

from services.tenants import api, consumer
from services.tenants.domain.certificate import SERVICES
from services.tenants.table import SLICE
from shared.declaration import (
    Access,
    Function,
    Objects,
    Service,
    exporter_of,
    exports_of,
    remover_of,
    writing_of_exports,
)
from shared.events.tenants import (
    SAID_BY_ALL,
    ProjectCreated,
    ProjectDeleted,
    TenantCreated,
    TenantDeleted,
    TenantDeletionRequested,
    TenantExportRequested,
    TenantPlanChanged,
    TenantReactivated,
    TenantSuspended,
    TenantUpdated,
    UserDisabled,
    UserInvited,
    UserRemoved,
    UserRoleChanged,
)

_EXPORTS = tuple(Objects(exports_of(service)) for service in sorted(SERVICES))
"""The exports of every service, to be listed and given out."""

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
            objects=_EXPORTS,
            reads_due=True,
        ),
        Function(
            "consumer",
            "services.tenants.consumer.consumer",
            subscriptions=consumer.consumer.types,
            objects=(*_EXPORTS, writing_of_exports("tenants")),
            manages_users=True,
            timeout_s=300,
        ),
        remover_of("tenants", "services.tenants.consumer.remover", consumer.remover.types, manages_users=True),
        exporter_of("tenants", "services.tenants.consumer.exporter", consumer.exporter.types),
        Function("sweep", "services.tenants.consumer.sweep", reads_due=True, manages_users=True, every_minutes=5),
        Function("census", "services.tenants.consumer.census", reads_due=True, every_minutes=60, timeout_s=300),
        Function(
            "admin",
            "services.tenants.consumer.admin",
            objects=_EXPORTS,
            reads_due=True,
            manages_users=True,
        ),
    ),
    emits=(
        TenantCreated.TYPE,
        TenantUpdated.TYPE,
        TenantPlanChanged.TYPE,
        TenantSuspended.TYPE,
        TenantReactivated.TYPE,
        TenantDeletionRequested.TYPE,
        TenantDeleted.TYPE,
        TenantExportRequested.TYPE,
        UserInvited.TYPE,
        UserRoleChanged.TYPE,
        UserDisabled.TYPE,
        UserRemoved.TYPE,
        ProjectCreated.TYPE,
        ProjectDeleted.TYPE,
        *SAID_BY_ALL,
    ),
)
