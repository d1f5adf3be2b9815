"""What the agents service is made of."""

from services.agents import api, consumer
from services.agents.table import SLICE
from shared.declaration import Access, Function, Objects, Service, TenantSecrets, exporter_of, remover_of
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
        remover_of(
            "agents",
            "services.agents.consumer.remover",
            consumer.remover.types,
            folder="agents",
            tenant_secrets=TenantSecrets.DESTROY,
        ),
        exporter_of("agents", "services.agents.consumer.exporter", consumer.exporter.types, folder="agents"),
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
