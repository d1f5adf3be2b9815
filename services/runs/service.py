"""What the runs service is made of."""

from services.runs import api, consumer
from services.runs.table import SLICE
from shared.declaration import Access, Function, Objects, Service
from shared.events.runs import (
    ArtifactDeleted,
    ArtifactDownloaded,
    ArtifactStored,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunQueued,
    UsageRecorded,
)

_OBJECTS = (Objects("agents"), Objects("runs", write=True))

SERVICE = Service(
    name="runs",
    purpose="Runs: executions of agents, each call to a model leased, recorded and counted.",
    slice=SLICE,
    functions=(
        Function(
            "api",
            "services.runs.api.handler",
            access=Access.TENANT,
            routes=api.app.routes,
            objects=_OBJECTS,
            invokes=("worker",),
        ),
        Function(
            "worker",
            "services.runs.consumer.worker",
            access=Access.TENANT,
            subscriptions=consumer.queue.types,
            objects=_OBJECTS,
            timeout_s=900,
        ),
        Function("consumer", "services.runs.consumer.events", subscriptions=consumer.events.types),
        Function(
            "reaper",
            "services.runs.consumer.reaper",
            reads_due=True,
            every_minutes=1,
            objects=(Objects("runs", write=True),),
        ),
    ),
    emits=(
        RunQueued.TYPE,
        RunCompleted.TYPE,
        RunFailed.TYPE,
        RunCancelled.TYPE,
        UsageRecorded.TYPE,
        ArtifactStored.TYPE,
        ArtifactDeleted.TYPE,
        ArtifactDownloaded.TYPE,
    ),
)
