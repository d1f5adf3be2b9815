"""The exporter: all that this service has of a tenant, into the bucket."""

from services.runs import wiring
from services.runs.table import TRACES
from shared.export.exporter import exporter

handler = exporter("runs", store=wiring.tenant_store, depot=wiring.depot, traces=TRACES)
