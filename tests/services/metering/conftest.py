"""Fixtures of the metering tests."""

from collections.abc import Generator

import pytest

from services.metering import wiring
from services.metering.partitions import SLICE
from shared.storage.store import Store
from tests.tables import memory_tables
from tests.tables import store as make_store


@pytest.fixture
def store() -> Generator[Store]:
    """Return an empty slice."""
    with make_store(SLICE) as made:
        yield made


@pytest.fixture
def slice_store() -> Generator[Store]:
    """Return an empty slice that the wiring of the service uses as well."""
    with memory_tables((wiring.summary_throttle, wiring.seen_rows, wiring.throttled_tenants)):
        yield wiring.slice_store()
