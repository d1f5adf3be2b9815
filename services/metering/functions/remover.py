"""The consumer that removes the data of deleted tenants."""

from services.metering import wiring
from services.metering.partitions import TENANT_PARTITIONS
from shared.removal import remover

handler = remover("metering", store=wiring.slice_store, partitions=TENANT_PARTITIONS, empty_folder=wiring.empty_folder)
