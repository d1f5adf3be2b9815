"""The removal of a deleted tenant's data."""

from services.billing import wiring
from services.billing.partitions import TENANT_PARTITIONS
from shared.removal import remover

handler = remover("billing", store=wiring.slice_store, partitions=TENANT_PARTITIONS, empty_folder=wiring.empty_folder)
