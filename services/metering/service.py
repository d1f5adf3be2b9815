"""The declaration of the metering service."""

from services.metering.functions import api, consumer, exporter, operators, remover, summarizer
from services.metering.partitions import SLICE
from services.metering.summaries.domain import RECHECK_DELAY_S
from shared.declaration import USUAL_ALARMS, Access, Function, ObjectGrant, Service, exporter_of, remover_of
from shared.events.metering import (
    QuotaThresholdReached,
    UsageBatchIngested,
    UsageCorrected,
    UsageHourClosed,
    UsageIngested,
    UsageSummarized,
    UsageTenantClosed,
)
from shared.events.tenants import PUBLISHED_BY_ALL

SERVICE = Service(
    name="metering",
    purpose="Metering: counts each usage event exactly once, in a ledger and in hourly counters.",
    slice=SLICE,
    functions=(
        Function("api", "services.metering.functions.api.handler", access=Access.TENANT, routes=api.handler.routes),
        Function(
            "operators",
            "services.metering.functions.operators.handler",
            routes=operators.handler.routes,
            objects=(ObjectGrant("usage"),),
            sends_to=("reporter",),
        ),
        Function(
            "reporter",
            "services.metering.functions.reporter.handler",
            queued=True,
            reads_due=True,
            objects=(ObjectGrant("usage", write=True),),
            timeout_s=900,
            memory_mb=1769,
            batch_size=1,
        ),
        Function(
            "consumer",
            "services.metering.functions.consumer.handler",
            subscriptions=consumer.handler.types,
            control=consumer.CONTROL,
        ),
        Function(
            "summarizer",
            "services.metering.functions.summarizer.handler",
            subscriptions=summarizer.handler.types,
            delay_s=RECHECK_DELAY_S,
        ),
        remover_of("metering", "services.metering.functions.remover.handler", remover.handler.types, folder="usage"),
        exporter_of("metering", "services.metering.functions.exporter.handler", exporter.handler.types, folder="usage"),
        Function(
            "closer",
            "services.metering.functions.closer.handler",
            reads_due=True,
            every_minutes=1,
            timeout_s=55,
            # A full CPU: 100,000 tenants are closed within half an hour.
            memory_mb=1769,
        ),
        Function(
            "archiver",
            "services.metering.functions.archiver.handler",
            reads_due=True,
            every_minutes=60,
            objects=(ObjectGrant("usage", write=True),),
            timeout_s=900,
            memory_mb=1769,
        ),
        Function("commands", "services.metering.functions.commands.handler", reads_due=True, timeout_s=900),
    ),
    emits=(
        *PUBLISHED_BY_ALL,
        # Superseded. The outbox may still contain events of an earlier version.
        UsageIngested.TYPE,
        UsageBatchIngested.TYPE,
        UsageSummarized.TYPE,
        UsageHourClosed.TYPE,
        UsageCorrected.TYPE,
        QuotaThresholdReached.TYPE,
        UsageTenantClosed.TYPE,
    ),
    alarms=(*USUAL_ALARMS, "drift", "quarantine", "uncounted-usage"),
)
