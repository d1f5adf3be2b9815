"""The remover: what a deleted tenant has left here."""

from services.runs import wiring
from services.runs.table import TRACES
from shared.removal import remover

handler = remover("runs", store=wiring.slice_store, traces=TRACES, empty_folder=wiring.empty_folder)
