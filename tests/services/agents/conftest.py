"""Fixtures of the agents service."""

from collections.abc import Generator

import pytest

from services.agents import wiring
from services.agents.partitions import SLICE
from shared.aws.clients import own_client
from shared.storage.store import Store
from tests.services.agents.bucket import InterleavedBucket
from tests.services.agents.callers import save_tenant_copy
from tests.tables import BUCKET, REGION, memory_tables
from tests.tables import store as make_store


@pytest.fixture
def store() -> Generator[Store]:
    """Return an empty slice."""
    with make_store(SLICE) as made:
        yield made


@pytest.fixture
def bucket() -> InterleavedBucket:
    """Return an empty bucket."""
    return InterleavedBucket()


@pytest.fixture
def mesh(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Provide tables, a bucket, secrets and the copy of a tenant."""
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv("ALLOW_PRIVATE_BASE_URLS", "false")
    with memory_tables((wiring.vault, wiring.base_urls)):
        own_client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        save_tenant_copy(seq=1)
        yield
