"""The removal of a deleted tenant's data."""

from services.tenants import wiring
from services.tenants.partitions import TENANT_PARTITIONS, config_key
from services.tenants.users.operations.pool_sync import remove_all_users
from shared.removal import remover

handler = remover(
    "tenants",
    store=wiring.slice_store,
    partitions=TENANT_PARTITIONS,
    empty_folder=wiring.empty_folder,
    tombstone_key=lambda _, tenant_id: config_key(tenant_id),
    remove_outside=lambda tenant_id: remove_all_users(wiring.user_pool(), tenant_id),
)
