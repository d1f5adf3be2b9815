"""The removal of a deleted tenant's data."""

from services.agents import wiring
from services.agents.partitions import TENANT_PARTITIONS
from services.agents.provider_keys.operations import destroy_provider_keys
from shared.removal import remover

handler = remover(
    "agents",
    store=wiring.slice_store,
    partitions=TENANT_PARTITIONS,
    empty_folder=wiring.empty_folder,
    remove_outside=lambda tenant_id: destroy_provider_keys(wiring.all_tenants_vault(), tenant_id),
)
