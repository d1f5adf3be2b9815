"""What the metering service is made of."""

from services.metering import api
from services.metering.consumer import usage
from services.metering.domain.summary import LOOKED_AT_AGAIN_AFTER_S
from services.metering.table import SLICE
from shared.declaration import USUAL_ALARMS, Access, Function, Objects, Service, exporter_of, remover_of
from shared.events.metering import (
    QuotaThresholdReached,
    UsageBatchIngested,
    UsageCorrected,
    UsageHourClosed,
    UsageIngested,
    UsageSummarised,
    UsageTenantClosed,
)
from shared.events.tenants import SAID_BY_ALL

SERVICE = Service(
    name="metering",
    purpose="Metering: every use counted exactly once, in a ledger and in counters by the hour.",
    slice=SLICE,
    functions=(
        Function("api", "services.metering.api.handler", access=Access.TENANT, routes=api.application.app.routes),
        Function(
            "operators",
            "services.metering.api.admin_handler",
            routes=api.admin.app.routes,
            objects=(Objects("usage"),),
            sends_to=("reporter",),
        ),
        Function(
            "reporter",
            "services.metering.consumer.reporter.handler",
            queued=True,
            reads_due=True,
            objects=(Objects("usage", write=True),),
            timeout_s=900,
            memory_mb=1769,
            batch_size=1,
        ),
        Function(
            "consumer",
            "services.metering.consumer.usage.consumer",
            subscriptions=usage.consumer.types,
            control=usage.CONTROL,
        ),
        Function(
            "summariser",
            "services.metering.consumer.usage.summariser",
            subscriptions=usage.summariser.types,
            delay_s=LOOKED_AT_AGAIN_AFTER_S,
        ),
        remover_of("metering", "services.metering.consumer.usage.remover", usage.remover.types, folder="usage"),
        exporter_of("metering", "services.metering.consumer.usage.exporter", usage.exporter.types, folder="usage"),
        Function(
            "closer",
            "services.metering.consumer.usage.closer",
            reads_due=True,
            every_minutes=1,
            timeout_s=55,
            # A whole CPU: 100,000 tenants are closed within half an hour.
            memory_mb=1769,
        ),
        Function(
            "archiver",
            "services.metering.consumer.usage.archiver",
            reads_due=True,
            every_minutes=60,
            objects=(Objects("usage", write=True),),
            timeout_s=900,
            memory_mb=1769,
        ),
        Function("admin", "services.metering.consumer.commands.admin", reads_due=True, timeout_s=900),
    ),
    emits=(
        *SAID_BY_ALL,
        # Superseded; what an earlier version wrote may still be in the outbox.
        UsageIngested.TYPE,
        UsageBatchIngested.TYPE,
        UsageSummarised.TYPE,
        UsageHourClosed.TYPE,
        UsageCorrected.TYPE,
        QuotaThresholdReached.TYPE,
        UsageTenantClosed.TYPE,
    ),
    alarms=(*USUAL_ALARMS, "drift", "quarantine", "uncounted-usage"),
)
