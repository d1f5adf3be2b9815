"""What the tests of this service work on."""

from collections.abc import Generator

import pytest

from services.metering import wiring
from services.metering.table import SLICE
from shared.storage.store import Store
from tests.tables import memory_tables
from tests.tables import store as make_store


@pytest.fixture
def store() -> Generator[Store]:
    """An empty slice."""
    with make_store(SLICE) as made:
        yield made


@pytest.fixture
def slice_store() -> Generator[Store]:
    """An empty slice, in which the service itself works too."""
    with memory_tables((wiring.pauses, wiring.seen_rows, wiring.refused_tenants)):
        yield wiring.slice_store()
