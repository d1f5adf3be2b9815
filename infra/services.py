"""The services of the mesh, in the order of their deployment."""

from services.agents.service import SERVICE as AGENTS
from services.billing.service import SERVICE as BILLING
from services.metering.service import SERVICE as METERING
from services.runs.service import SERVICE as RUNS
from services.tenants.service import SERVICE as TENANTS
from shared.declaration import Service

SERVICES: tuple[Service, ...] = (TENANTS, AGENTS, RUNS, METERING, BILLING)
