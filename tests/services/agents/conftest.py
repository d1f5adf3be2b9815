"""What the tests of this service work on."""

from collections.abc import Generator

import pytest

from services.agents import wiring
from services.agents.table import SLICE
from shared.storage.clients import own_client
from shared.storage.store import Store
from tests.services.agents.bucket import FakeBucket
from tests.services.agents.callers import know_tenant
from tests.tables import BUCKET, REGION, memory_tables
from tests.tables import store as make_store


@pytest.fixture
def store() -> Generator[Store]:
    """An empty slice."""
    with make_store(SLICE) as made:
        yield made


@pytest.fixture
def bucket() -> FakeBucket:
    """An empty bucket."""
    return FakeBucket()


@pytest.fixture
def mesh(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Tables, bucket and secrets, and a tenant that is known."""
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv("ALLOW_PRIVATE_BASE_URLS", "false")
    with memory_tables((wiring.vault, wiring.addresses)):
        own_client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        know_tenant(seq=1)
        yield
