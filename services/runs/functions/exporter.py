"""The exporter: writes all data that this service has of a tenant to the bucket."""

from services.runs import wiring
from services.runs.partitions import TENANT_PARTITIONS
from shared.export.exporter import exporter

handler = exporter(
    "runs", store=wiring.tenant_store, artifact_store=wiring.artifact_store, partitions=TENANT_PARTITIONS
)
