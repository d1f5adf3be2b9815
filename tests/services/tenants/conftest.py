"""Fixtures of the tenants service: its slice in memory, with one small tenant."""

import os
from collections.abc import Iterator

import pytest

from services.tenants import wiring
from services.tenants.partitions import SLICE
from services.tenants.tenants import operations as tenants
from services.tenants.tenants.domain.limits import OwnLimits
from shared.aws.clients import own_client
from shared.plans import Plan
from shared.storage.store import Store
from tests.dynamodb.memory_tables import MemoryTables
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
    with memory_tables((wiring.user_pool,)) as client:
        own_client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


@pytest.fixture(name="store")
def make_store(database: MemoryTables) -> Store:
    """Return a slice with the tenant `acme`, which may have two projects and two users."""
    store = Store(database, table=os.environ[SLICE.table.variable], owned=SLICE)
    tenants.create_tenant(store, "acme", name="Acme", plan=Plan.FREE, own_limits=LIMITS, now=NOW)
    return store
