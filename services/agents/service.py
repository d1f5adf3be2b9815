"""What the agents service is made of."""

from services.agents import api, consumer
from services.agents.table import SLICE
from shared.declaration import Access, Function, Objects, Service, TenantSecrets, removal_of_exports, writing_of_exports
from shared.events.agents import AgentAliasMoved, AgentCreated, AgentDeleted, AgentUpdated, AgentVersionPublished
from shared.events.tenants import SAID_BY_ALL

SERVICE = Service(
    name="agents",
    purpose="Agents: named configurations with immutable versions, one of which is live.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.agents.api.handler",
            access=Access.TENANT,
            routes=api.app.routes,
            objects=(Objects("agents", write=True),),
            tenant_secrets=TenantSecrets.WRITE,
        ),
        Function("consumer", "services.agents.consumer.consumer", subscriptions=consumer.consumer.types),
        Function(
            "remover",
            "services.agents.consumer.remover",
            subscriptions=consumer.remover.types,
            objects=(Objects("agents", read=False, delete=True), removal_of_exports("agents")),
            tenant_secrets=TenantSecrets.DESTROY,
            timeout_s=900,
        ),
        Function(
            "exporter",
            "services.agents.consumer.exporter",
            access=Access.TENANT,
            subscriptions=consumer.exporter.types,
            objects=(Objects("agents", find=True), writing_of_exports("agents")),
            timeout_s=900,
            memory_mb=1024,
            batch_size=1,
        ),
    ),
    emits=(
        *SAID_BY_ALL,
        AgentCreated.TYPE,
        AgentUpdated.TYPE,
        AgentVersionPublished.TYPE,
        AgentAliasMoved.TYPE,
        AgentDeleted.TYPE,
    ),
)
