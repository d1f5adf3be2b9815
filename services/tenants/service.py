"""Declaration of the tenants service."""

from services.tenants.functions import api, consumer, exporter, operators, remover
from services.tenants.partitions import SLICE
from services.tenants.tenants.domain.services import SERVICES
from shared.declaration import (
    USUAL_ALARMS,
    Access,
    Function,
    ObjectGrant,
    Service,
    exporter_of,
    exports_of,
    remover_of,
    writing_of_exports,
)
from shared.events.tenants import (
    PUBLISHED_BY_ALL,
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
    UserEmailChanged,
    UserInvited,
    UserRemoved,
    UserRoleChanged,
)

_EXPORTS = tuple(ObjectGrant(exports_of(service)) for service in sorted(SERVICES))
"""The exports of every service, which this service lists and makes downloadable."""

SERVICE = Service(
    name="tenants",
    purpose="Tenants: organizations with their limits, users and projects.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.tenants.functions.api.handler",
            access=Access.TENANT,
            routes=api.handler.routes,
            manages_users=True,
        ),
        Function(
            "operators",
            "services.tenants.functions.operators.handler",
            acts_for_tenants=True,
            routes=operators.handler.routes,
            objects=_EXPORTS,
            reads_due=True,
        ),
        Function(
            "consumer",
            "services.tenants.functions.consumer.handler",
            subscriptions=consumer.handler.types,
            objects=(*_EXPORTS, writing_of_exports("tenants")),
            manages_users=True,
            timeout_s=300,
        ),
        remover_of("tenants", "services.tenants.functions.remover.handler", remover.handler.types, manages_users=True),
        exporter_of("tenants", "services.tenants.functions.exporter.handler", exporter.handler.types),
        Function(
            "sweep",
            "services.tenants.functions.sweep.handler",
            reads_due=True,
            manages_users=True,
            every_minutes=5,
            # In this time, a rollout updates some 3,000 users.
            timeout_s=290,
        ),
        Function(
            "metrics", "services.tenants.functions.metrics.handler", reads_due=True, every_minutes=60, timeout_s=300
        ),
        Function(
            "commands",
            "services.tenants.functions.commands.handler",
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
        UserEmailChanged.TYPE,
        UserDisabled.TYPE,
        UserRemoved.TYPE,
        ProjectCreated.TYPE,
        ProjectDeleted.TYPE,
        *PUBLISHED_BY_ALL,
    ),
    alarms=(*USUAL_ALARMS, "quarantine"),
)
