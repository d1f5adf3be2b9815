"""The dependencies of the deployed service."""

import os
from datetime import datetime
from functools import cache
from typing import Any

from services.runs.agents.gateway import CachedConfigs
from services.runs.agents.table import AgentCopies
from services.runs.budgets.domain import MAX_EXECUTING_RUNS
from services.runs.budgets.table.budgets import AllBudgets, BudgetTable
from services.runs.datasets.gateway import DatasetFiles
from services.runs.execution.gateway import LambdaWorkers, Workers
from services.runs.execution.operations.planning import Planner
from services.runs.experiments.gateway import TrialItems, VariantConfigs
from services.runs.experiments.operations.laboratory import Laboratory
from services.runs.partitions import SLICE
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.domain.run import Cost
from services.runs.runs.table.runs import AllRuns, RunTable
from shared.aws.clients import own_client, tenant_client
from shared.meters import Meters
from shared.storage.payloads import Payloads
from shared.tenancy.context import TenantAccess
from shared.times import utc_now
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="runs", folder="runs")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
access, is_deleted, empty_folder = _own.access, _own.is_deleted, _own.empty_folder
artifact_store = _own.artifact_store


def tenant_runs(tenant_id: str) -> RunTable:
    """Return the runs of the current tenant."""
    return RunTable(tenant_store(), tenant_id, Payloads(_own.tenant_objects()))


def slice_runs() -> AllRuns:
    """Return the runs of all tenants, for the reaper."""
    return AllRuns(slice_store(), Payloads(_own.slice_objects()))


def tenant_datasets() -> DatasetFiles:
    """Return the files of the current tenant's datasets."""
    return DatasetFiles(tenant_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"])


def slice_datasets() -> DatasetFiles:
    """Return the files of all tenants' datasets, for the reaper."""
    return DatasetFiles(own_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"])


def slice_access(tenant_id: str) -> TenantAccess:
    """Return the copy of any tenant, for the reaper."""
    return copies().read(tenant_id)


@cache
def tenant_agents() -> AgentCopies:
    """Return the agents of the current tenant."""
    return AgentCopies(tenant_store())


def tenant_budgets(tenant_id: str) -> BudgetTable:
    """Return the budgets of the current tenant."""
    return BudgetTable(tenant_store(), tenant_id, max_runs=_max_runs())


def slice_budgets() -> AllBudgets:
    """Return the budgets of all tenants, for events and the reaper."""
    return AllBudgets(slice_store(), max_runs=_max_runs())


def _max_runs() -> int:
    return int(os.environ.get("MAX_RUNS_PER_TENANT", MAX_EXECUTING_RUNS))


@cache
def _trial_items() -> TrialItems:
    return TrialItems(tenant_datasets())


def variant_configs() -> VariantConfigs:
    """Return the configs of variants with overrides, of the current tenant."""
    return VariantConfigs(_own.tenant_objects())


def laboratory(access: TenantAccess) -> Laboratory:
    """Return what the operations on experiments of the current tenant need."""
    return Laboratory(
        store=tenant_store(),
        access=access,
        agents=tenant_agents(),
        runs=tenant_runs(access.tenant_id),
        configs=configs(),
        planner=planner(access.tenant_id),
        items=_trial_items(),
        clock=utc_now,
    )


def planner(tenant_id: str) -> Planner:
    """Return the planner of the current tenant's calls."""
    return Planner(tenant_budgets(tenant_id), price)


def price(request: ModelRequest, meters: Meters, at: datetime) -> Cost:
    """Return the cost of a call; the price table is loaded on first use."""
    from services.runs.providers.gateway.prices import price_of

    return price_of(request, meters, at)


@cache
def configs() -> CachedConfigs:
    """Return the configs of the current tenant."""
    return CachedConfigs(_own.tenant_objects())


@cache
def workers() -> Workers:
    """Return the client of this service's worker function."""

    def client(wait_s: int) -> Any:  # noqa: ANN401 — botocore makes clients from data
        return own_client("lambda", read_timeout_s=wait_s, attempts=1)

    return LambdaWorkers(client, function=os.environ["WORKER_FUNCTION_NAME"])
