"""Small sample services that use every feature of a declaration."""

from shared.declaration import Access, Function, ObjectGrant, Route, Service, Slice, Table, TenantSecrets
from shared.tenancy.permissions import Feature, Role

HTTP = "services.core.functions.api.handler"
OTHER = "services.core.functions.publisher.handler"

_TENANT = "/v1/tenants/{tenant_id}"

TENANTS = Service(
    name="tenants",
    purpose="tenants and their users",
    slice=Slice("TENANTS", Table.TENANTS, holds_tenant=True),
    functions=(
        Function(
            name="api",
            handler=HTTP,
            access=Access.TENANT,
            routes=(
                Route("GET", "/v1/tenants", Role.OBSERVER),
                Route("GET", _TENANT, Role.OBSERVER),
                Route("PUT", _TENANT, Role.TENANT_ADMIN),
                Route("GET", f"{_TENANT}/projects/{{project_id}}", Role.OBSERVER),
                Route("GET", "/v1/admin/tenants", Role.PLATFORM_ADMIN),
            ),
        ),
        Function(
            name="consumer",
            handler=OTHER,
            subscriptions=("subscription.changed.v1", "usage.summarised.v1"),
            control=("subscription.changed.v1",),
        ),
        Function(name="commands", handler=OTHER, manages_users=True, reads_due=True),
    ),
)

AGENTS = Service(
    name="agents",
    purpose="agents",
    slice=Slice("AGENTS", Table.ENTITIES),
    functions=(
        Function(
            name="api",
            handler=HTTP,
            access=Access.TENANT,
            routes=(
                Route("GET", f"{_TENANT}/agents", Role.OBSERVER),
                Route("POST", f"{_TENANT}/agents", Role.DEVELOPER, Feature.AGENTS),
            ),
            objects=(ObjectGrant("agents", write=True),),
            tenant_secrets=TenantSecrets.WRITE,
        ),
        Function(
            name="remover",
            handler=OTHER,
            subscriptions=("tenant.deleted.v1",),
            objects=(ObjectGrant("agents", read=False, delete=True),),
            tenant_secrets=TenantSecrets.DESTROY,
        ),
    ),
)

RUNS = Service(
    name="runs",
    purpose="runs",
    slice=Slice("RUNS", Table.ENTITIES),
    functions=(
        Function(
            name="api",
            handler=HTTP,
            access=Access.TENANT,
            routes=(
                Route("GET", f"{_TENANT}/runs", Role.OBSERVER),
                Route("GET", f"{_TENANT}/runs/{{run_id}}", Role.OBSERVER),
                Route("PATCH", f"{_TENANT}/runs/{{run_id}}", Role.DEVELOPER),
                Route("GET", f"{_TENANT}/runs/{{run_id}}/logs", Role.OBSERVER),
            ),
            objects=(ObjectGrant("agents"), ObjectGrant("runs", delete=True)),
            max_concurrency=200,
            invokes=("worker",),
        ),
        Function(
            name="worker",
            handler=OTHER,
            access=Access.TENANT,
            subscriptions=("run.queued.v1",),
            objects=(ObjectGrant("runs", write=True),),
            secrets=("openai/key",),
            tenant_secrets=TenantSecrets.READ,
            calls_models=True,
            timeout_s=60,
        ),
        Function(name="reaper", handler=OTHER, every_minutes=1, reads_due=True, objects=(ObjectGrant("runs"),)),
    ),
)

METERING = Service(
    name="metering",
    purpose="usage",
    slice=Slice("USAGE", Table.USAGE),
    functions=(
        Function(
            name="api",
            handler=HTTP,
            access=Access.TENANT,
            routes=(Route("GET", f"{_TENANT}/usage/daily", Role.ANALYST),),
        ),
        Function(name="consumer", handler=OTHER, subscriptions=("run.completed.v1", "usage.recorded.v1")),
    ),
)

BILLING = Service(
    name="billing",
    purpose="customers",
    slice=Slice("BILLING", Table.TENANTS),
    functions=(
        Function(
            name="webhook",
            handler=HTTP,
            access=Access.NONE,
            routes=(Route("POST", "/v1/webhooks/stripe", None),),
            secrets=("stripe/secret",),
            keys=("STRIPE#*",),
            sends_to=("inbox",),
        ),
        Function(name="inbox", handler=OTHER, queued=True, keys=("STRIPE#*",)),
        Function(name="consumer", handler=OTHER, subscriptions=("tenant.created.v1",)),
    ),
)

SAMPLES = (TENANTS, AGENTS, RUNS, METERING, BILLING)
