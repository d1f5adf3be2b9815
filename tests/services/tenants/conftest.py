"""The tenants slice under moto, with one small tenant in it."""

import os
from collections.abc import Iterator

import pytest

from services.tenants import wiring
from services.tenants.domain.limits import OwnLimits
from services.tenants.operations import tenants
from services.tenants.table import SLICE
from shared.plans import Plan
from shared.storage.clients import own_client
from shared.storage.store import Store
from tests.dynamodb.tables import MemoryTables
from tests.services.tenants.acme import NOW
from tests.tables import BUCKET, REGION, memory_tables

LIMITS: OwnLimits = {
    "max_users": 2,
    "max_projects": 2,
    "max_requests_per_month": 10,
    "max_tokens_per_month": 10,
}


@pytest.fixture(name="database")
def make_database() -> Iterator[MemoryTables]:
    with memory_tables((wiring.identity,)) as client:
        own_client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


@pytest.fixture(name="store")
def make_store(database: MemoryTables) -> Store:
    """The slice, with the tenant `acme` that may have two projects and two users."""
    store = Store(database, table=os.environ[SLICE.table.variable], owned=SLICE)
    tenants.create_tenant(store, "acme", name="Acme", plan=Plan.FREE, own_limits=LIMITS, now=NOW)
    return store
