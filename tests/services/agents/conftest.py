"""What the tests of this service work on."""

from collections.abc import Generator

import pytest

from services.agents.table import SLICE
from shared.storage.store import Store
from tests.services.agents.bucket import FakeBucket
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
