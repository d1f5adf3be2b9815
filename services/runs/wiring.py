"""The real things, made once per container."""

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
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.copies.tenant_access import TenantAccessCopies
from shared.declaration import exports_of
from shared.export.exporter import Depot
from shared.meters import Meters
from shared.removal import Bucket
from shared.storage.clients import own_client, tenant_client
from shared.storage.objects import Artifacts, Documents
from shared.storage.payloads import Payloads
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


@cache
def tenant_store() -> Store:
    """The slice of the tenant that is acted for."""
    return _store(tenant_client("dynamodb"))


@cache
def slice_store() -> Store:
    """The slice of every tenant, for events and schedules."""
    return _store(own_client("dynamodb"))


@cache
def tenant_runs() -> RunTable:
    """The runs of the tenant that is acted for."""
    return RunTable(tenant_store(), Payloads(_artifacts(tenant_client("s3"))))


@cache
def slice_runs() -> RunTable:
    """The runs of every tenant, for the reaper."""
    return RunTable(slice_store(), Payloads(_artifacts(own_client("s3"))))


@cache
def tenant_budgets() -> BudgetTable:
    """The budgets of the tenant that is acted for."""
    return BudgetTable(tenant_store())


@cache
def slice_budgets() -> BudgetTable:
    """The budgets of every tenant, for events and the reaper."""
    return BudgetTable(slice_store())


@cache
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
    return CachedConfigs(_documents(tenant_client("s3")))


@cache
def workers() -> Workers:
    """This service's worker function."""

    def client(wait_s: int) -> Any:  # noqa: ANN401 — botocore makes clients from data
        return own_client("lambda", read_timeout_s=wait_s, attempts=1)

    return LambdaWorkers(client, function=os.environ["WORKER_FUNCTION_NAME"])


def buckets() -> tuple[Bucket, ...]:
    """Where the objects of runs lie, for their removal."""
    client, bucket = own_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"]
    return tuple(Bucket(client, bucket, folder) for folder in ("runs", exports_of("runs")))


def depot() -> Depot:
    """Where the exports of the tenant that is acted for go, and its documents."""
    return Depot(tenant_client("s3"), os.environ["ARTIFACTS_BUCKET_NAME"], folders=("runs",))


def is_deleted(tenant_id: str) -> bool:
    """Whether the tenant is gone."""
    return TenantAccessCopies(slice_store()).is_deleted(tenant_id)


def access(tenant_id: str) -> TenantAccess:
    """What this service knows of a tenant that is acted for."""
    return TenantAccessCopies(tenant_store()).read(tenant_id)


def slice_access(tenant_id: str) -> TenantAccess:
    """What this service knows of any tenant, for events."""
    return TenantAccessCopies(slice_store()).read(tenant_id)


def _store(client: Any) -> Store:  # noqa: ANN401 — botocore makes clients from data
    return Store(client, table=os.environ[SLICE.table.variable], owned=SLICE)


def _documents(client: Any) -> Documents:  # noqa: ANN401 — botocore makes clients from data
    return Documents(client, bucket=os.environ["ARTIFACTS_BUCKET_NAME"])


def _artifacts(client: Any) -> Artifacts:  # noqa: ANN401 — as above
    return Artifacts(client, bucket=os.environ["ARTIFACTS_BUCKET_NAME"])
