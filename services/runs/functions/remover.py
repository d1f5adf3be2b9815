"""The remover: deletes the data of a deleted tenant."""

from services.runs import wiring
from services.runs.partitions import TENANT_PARTITIONS
from shared.removal import remover

handler = remover("runs", store=wiring.slice_store, partitions=TENANT_PARTITIONS, empty_folder=wiring.empty_folder)
