"""All event contracts, by type."""

from shared.events import agents, billing, metering, runs, tenants
from shared.events.envelope import EventData

CATALOG: dict[str, type[EventData]] = {
    kind.TYPE: kind
    for kind in (
        tenants.TenantCreated,
        tenants.TenantUpdated,
        tenants.TenantPlanChanged,
        tenants.TenantSuspended,
        tenants.TenantReactivated,
        tenants.TenantDeletionRequested,
        tenants.TenantDeleted,
        tenants.TenantDataRemoved,
        tenants.TenantExportRequested,
        tenants.TenantPartExported,
        tenants.TenantDataExported,
        tenants.ChangeRecorded,
        tenants.UserInvited,
        tenants.UserRoleChanged,
        tenants.UserEmailChanged,
        tenants.UserDisabled,
        tenants.UserRemoved,
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
        runs.TenantRunsStopped,
        metering.UsageTenantClosed,
        billing.SubscriptionChanged,
        billing.InvoicePaid,
        billing.InvoicePaymentFailed,
        billing.UsageSynced,
        runs.ArtifactStored,
        runs.ArtifactDeleted,
        runs.ArtifactDownloaded,
        metering.UsageIngested,
        metering.UsageBatchIngested,
        metering.UsageSummarized,
        metering.UsageHourClosed,
        metering.UsageCorrected,
        metering.QuotaThresholdReached,
    )
}
