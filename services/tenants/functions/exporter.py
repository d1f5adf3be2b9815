"""The export of a tenant's data."""

from services.tenants import wiring
from services.tenants.partitions import TENANT_PARTITIONS, config_key
from shared.export.exporter import exporter

handler = exporter(
    "tenants",
    store=wiring.tenant_store,
    artifact_store=wiring.artifact_store,
    partitions=TENANT_PARTITIONS,
    tombstone_key=lambda _, tenant_id: config_key(tenant_id),
)
