"""What the metering service is made of."""

from services.metering import api, consumer
from services.metering.table import SLICE
from shared.declaration import USUAL_ALARMS, Access, Function, Objects, Service
from shared.events.metering import (
    QuotaThresholdReached,
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
        Function("api", "services.metering.api.handler", access=Access.TENANT, routes=api.app.routes),
        Function("consumer", "services.metering.consumer.consumer", subscriptions=consumer.consumer.types),
        Function(
            "remover",
            "services.metering.consumer.remover",
            subscriptions=consumer.remover.types,
            objects=(Objects("usage", remove=True),),
            timeout_s=900,
        ),
        Function("closer", "services.metering.consumer.closer", reads_due=True, every_minutes=1, timeout_s=55),
        Function(
            "archiver",
            "services.metering.consumer.archiver",
            reads_due=True,
            every_minutes=60,
            objects=(Objects("usage", write=True),),
            timeout_s=900,
        ),
    ),
    emits=(
        *SAID_BY_ALL,
        UsageIngested.TYPE,
        UsageSummarised.TYPE,
        UsageHourClosed.TYPE,
        UsageCorrected.TYPE,
        QuotaThresholdReached.TYPE,
        UsageTenantClosed.TYPE,
    ),
    alarms=(*USUAL_ALARMS, "drift"),
)
