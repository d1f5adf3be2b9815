"""The export of a tenant's data."""

from services.agents import wiring
from services.agents.partitions import TENANT_PARTITIONS
from shared.export.exporter import exporter

handler = exporter(
    "agents", store=wiring.tenant_store, artifact_store=wiring.artifact_store, partitions=TENANT_PARTITIONS
)
