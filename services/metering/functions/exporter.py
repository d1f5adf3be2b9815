"""The consumer that exports the data of a tenant."""

from services.metering import wiring
from services.metering.partitions import EXPORTED_PARTITIONS
from shared.export.exporter import exporter

handler = exporter(
    "metering", store=wiring.tenant_store, artifact_store=wiring.artifact_store, partitions=EXPORTED_PARTITIONS
)
