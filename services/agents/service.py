"""Declaration of the agents service."""

from services.agents.functions import api, consumer, exporter, remover
from services.agents.partitions import SLICE
from shared.declaration import Access, Function, ObjectGrant, Service, TenantSecrets, exporter_of, remover_of
from shared.events.agents import (
    AgentAliasMoved,
    AgentCreated,
    AgentDeleted,
    AgentUpdated,
    AgentVersionPublished,
    PromptAliasMoved,
    PromptCreated,
    PromptDeleted,
    PromptUpdated,
    PromptVersionPublished,
)
from shared.events.tenants import PUBLISHED_BY_ALL

SERVICE = Service(
    name="agents",
    purpose="Agents and prompts: named configurations and templates with immutable versions, one of which is live.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.agents.functions.api.handler",
            access=Access.TENANT,
            routes=api.handler.routes,
            objects=(ObjectGrant("agents", write=True),),
            tenant_secrets=TenantSecrets.WRITE,
        ),
        Function("consumer", "services.agents.functions.consumer.handler", subscriptions=consumer.handler.types),
        remover_of(
            "agents",
            "services.agents.functions.remover.handler",
            remover.handler.types,
            folder="agents",
            tenant_secrets=TenantSecrets.DESTROY,
        ),
        exporter_of("agents", "services.agents.functions.exporter.handler", exporter.handler.types, folder="agents"),
    ),
    emits=(
        *PUBLISHED_BY_ALL,
        AgentCreated.TYPE,
        AgentUpdated.TYPE,
        AgentVersionPublished.TYPE,
        AgentAliasMoved.TYPE,
        AgentDeleted.TYPE,
        PromptCreated.TYPE,
        PromptUpdated.TYPE,
        PromptVersionPublished.TYPE,
        PromptAliasMoved.TYPE,
        PromptDeleted.TYPE,
    ),
)
