"""What the runs service is made of."""

from services.runs.api import runs, stream
from services.runs.consumer import events, exporter, remover, worker
from services.runs.table import SLICE
from shared.declaration import (
    USUAL_ALARMS,
    Access,
    Function,
    Objects,
    Service,
    TenantSecrets,
    exporter_of,
    remover_of,
)
from shared.events.runs import (
    ArtifactDeleted,
    ArtifactDownloaded,
    ArtifactStored,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunQueued,
    TenantRunsStopped,
    UsageRecorded,
)
from shared.events.tenants import SAID_BY_ALL

SERVICE = Service(
    name="runs",
    purpose="Runs: executions of agents, each call to a model leased, recorded and counted.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.runs.api.runs.handler",
            access=Access.TENANT,
            routes=runs.handler.routes,
            objects=(Objects("agents"), Objects("runs", write=True, delete=True)),
            invokes=("worker",),
        ),
        Function(
            "stream",
            "services.runs.api.stream.handler",
            access=Access.TENANT,
            routes=stream.handler.routes,
            objects=(Objects("runs"),),
            at_most=200,
        ),
        Function(
            "worker",
            "services.runs.consumer.worker.handler",
            access=Access.TENANT,
            subscriptions=worker.queue.types,
            objects=(Objects("agents"), Objects("runs", write=True)),
            secrets=("openai/key", "anthropic/key"),
            tenant_secrets=TenantSecrets.READ,
            calls_models=True,
            timeout_s=900,
        ),
        Function(
            "consumer",
            "services.runs.consumer.events.handler",
            subscriptions=events.handler.types,
            control=events.CONTROL,
        ),
        remover_of("runs", "services.runs.consumer.remover.handler", remover.handler.types, folder="runs"),
        exporter_of("runs", "services.runs.consumer.exporter.handler", exporter.handler.types, folder="runs"),
        Function(
            "reaper",
            "services.runs.consumer.reaper.handler",
            reads_due=True,
            every_minutes=1,
            timeout_s=58,
            objects=(Objects("runs", write=True, delete=True),),
        ),
        Function(
            "admin",
            "services.runs.consumer.admin.handler",
            objects=(Objects("runs"),),
            reads_due=True,
            timeout_s=300,
        ),
    ),
    emits=(
        *SAID_BY_ALL,
        RunQueued.TYPE,
        RunCompleted.TYPE,
        RunFailed.TYPE,
        RunCancelled.TYPE,
        UsageRecorded.TYPE,
        TenantRunsStopped.TYPE,
        ArtifactStored.TYPE,
        ArtifactDeleted.TYPE,
        ArtifactDownloaded.TYPE,
    ),
    alarms=(*USUAL_ALARMS, "quarantine", "unpriced-calls"),
)
