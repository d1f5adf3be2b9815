"""The export of a tenant's data."""

from services.billing import wiring
from services.billing.partitions import EXPORTED_PARTITIONS
from shared.export.exporter import exporter

handler = exporter(
    "billing", store=wiring.tenant_store, artifact_store=wiring.artifact_store, partitions=EXPORTED_PARTITIONS
)
