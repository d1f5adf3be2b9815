"""All event contracts, by their type."""

from shared.events import agents, billing, metering, runs, tenants
from shared.events.envelope import EventData

CATALOGUE: dict[str, type[EventData]] = {
    kind.TYPE: kind
    for kind in (
        tenants.TenantCreated,
        tenants.UserInvited,
        tenants.ProjectCreated,
        tenants.ProjectDeleted,
        agents.AgentCreated,
        agents.AgentUpdated,
        agents.AgentAliasMoved,
        agents.AgentDeleted,
        agents.AgentVersionPublished,
        runs.RunQueued,
        runs.RunCompleted,
        runs.RunFailed,
        runs.RunCancelled,
        runs.UsageRecorded,
        metering.UsageHourClosed,
        metering.UsageCorrected,
        metering.UsageTenantClosed,
        billing.SubscriptionChanged,
        billing.InvoicePaid,
        billing.InvoicePaymentFailed,
        billing.UsageSynced,
    )
}
