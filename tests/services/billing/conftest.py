"""What the tests of this service work on."""

from collections.abc import Generator

import pytest

from services.billing import wiring
from shared.storage.store import Store
from tests.tables import tables


@pytest.fixture
def store() -> Generator[Store]:
    """An empty slice, in which the service itself works too."""
    with tables((wiring.tenant_store, wiring.slice_store, wiring.copies)):
        yield wiring.slice_store()
