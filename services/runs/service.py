"""The declaration of the runs service."""

from services.runs.functions import api, consumer, exporter, lab, remover, stream, worker
from services.runs.partitions import SLICE
from shared.declaration import (
    USUAL_ALARMS,
    Access,
    Function,
    ObjectGrant,
    Service,
    TenantSecrets,
    exporter_of,
    remover_of,
)
from shared.events.runs import (
    ArtifactDeleted,
    ArtifactDownloaded,
    ArtifactStored,
    DatasetUploadReceived,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunQueued,
    TenantRunsStopped,
    UsageRecorded,
)
from shared.events.tenants import PUBLISHED_BY_ALL

SERVICE = Service(
    name="runs",
    purpose="Runs: executions of agents, each call to a model leased, recorded and counted.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.runs.functions.api.handler",
            access=Access.TENANT,
            routes=api.handler.routes,
            objects=(ObjectGrant("agents"), ObjectGrant("runs", write=True, delete=True)),
            invokes=("worker",),
        ),
        Function(
            "stream",
            "services.runs.functions.stream.handler",
            access=Access.TENANT,
            routes=stream.handler.routes,
            objects=(ObjectGrant("runs"),),
            max_concurrency=200,
        ),
        Function(
            "worker",
            "services.runs.functions.worker.handler",
            access=Access.TENANT,
            subscriptions=worker.queue.types,
            objects=(ObjectGrant("agents"), ObjectGrant("runs", write=True)),
            secrets=("openai/key", "anthropic/key"),
            tenant_secrets=TenantSecrets.READ,
            calls_models=True,
            timeout_s=900,
        ),
        Function(
            "lab",
            "services.runs.functions.lab.handler",
            access=Access.TENANT,
            subscriptions=lab.handler.types,
            objects=(ObjectGrant("agents"), ObjectGrant("runs", write=True)),
            timeout_s=900,
        ),
        Function(
            "consumer",
            "services.runs.functions.consumer.handler",
            subscriptions=consumer.handler.types,
            control=consumer.CONTROL,
        ),
        remover_of("runs", "services.runs.functions.remover.handler", remover.handler.types, folder="runs"),
        exporter_of("runs", "services.runs.functions.exporter.handler", exporter.handler.types, folder="runs"),
        Function(
            "reaper",
            "services.runs.functions.reaper.handler",
            reads_due=True,
            every_minutes=1,
            timeout_s=58,
            objects=(ObjectGrant("runs", write=True, delete=True),),
        ),
        Function(
            "commands",
            "services.runs.functions.commands.handler",
            objects=(ObjectGrant("runs"),),
            reads_due=True,
            timeout_s=300,
        ),
    ),
    emits=(
        *PUBLISHED_BY_ALL,
        RunQueued.TYPE,
        RunCompleted.TYPE,
        RunFailed.TYPE,
        RunCancelled.TYPE,
        UsageRecorded.TYPE,
        TenantRunsStopped.TYPE,
        ArtifactStored.TYPE,
        ArtifactDeleted.TYPE,
        ArtifactDownloaded.TYPE,
        DatasetUploadReceived.TYPE,
    ),
    alarms=(*USUAL_ALARMS, "quarantine", "unpriced-calls"),
)
