"""The real things of this service."""

import os
from datetime import datetime
from functools import cache
from typing import Any

from services.runs.domain.request import ModelRequest
from services.runs.domain.run import Cost
from services.runs.gateways.configs import CachedConfigs
from services.runs.gateways.workers import LambdaWorkers, Workers
from services.runs.operations.planning import Planner
from services.runs.table import SLICE
from services.runs.table.agents import AgentCopies
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.meters import Meters
from shared.storage.clients import own_client
from shared.storage.payloads import Payloads
from shared.tenancy.context import TenantAccess
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="runs", folder="runs")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
access, is_deleted, empty_folder = _own.access, _own.is_deleted, _own.empty_folder
depot = _own.depot


def tenant_runs() -> RunTable:
    """The runs of the tenant that is acted for."""
    return RunTable(tenant_store(), Payloads(_own.tenant_objects()))


def slice_runs() -> RunTable:
    """The runs of every tenant, for the reaper."""
    return RunTable(slice_store(), Payloads(_own.slice_objects()))


def slice_access(tenant_id: str) -> TenantAccess:
    """What is known of any tenant, for the reaper."""
    return copies().read(tenant_id)


@cache
def tenant_agents() -> AgentCopies:
    """The agents of the tenant that is acted for."""
    return AgentCopies(tenant_store())


def tenant_budgets() -> BudgetTable:
    """The budgets of the tenant that is acted for."""
    return BudgetTable(tenant_store())


def slice_budgets() -> BudgetTable:
    """The budgets of every tenant, for events and the reaper."""
    return BudgetTable(slice_store())


def planner() -> Planner:
    """Plans the calls of the tenant that is acted for."""
    return Planner(tenant_budgets(), price)


def price(request: ModelRequest, meters: Meters, at: datetime) -> Cost:
    """What a call costs; the table of prices is loaded when the first one is asked for."""
    from services.runs.gateways.prices import price_of

    return price_of(request, meters, at)


@cache
def configs() -> CachedConfigs:
    """The configs of the tenant that is acted for."""
    return CachedConfigs(_own.tenant_objects())


@cache
def workers() -> Workers:
    """This service's worker function."""

    def client(wait_s: int) -> Any:  # noqa: ANN401 — botocore makes clients from data
        return own_client("lambda", read_timeout_s=wait_s, attempts=1)

    return LambdaWorkers(client, function=os.environ["WORKER_FUNCTION_NAME"])
