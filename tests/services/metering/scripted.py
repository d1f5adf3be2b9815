"""A table in memory whose transactions fail in a given order."""

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ConnectTimeoutError

from services.metering.partitions import SLICE
from shared.storage.store import Store
from tests.dynamodb.memory import MemoryDynamoDB

LOST_RESPONSE, LOST_REQUEST, FINE = "lost answer", "lost request", "fine"


class Scripted(MemoryDynamoDB):
    """A table whose transactions fail in this order, and succeed after it."""

    def __init__(self, faults: Iterable[str]) -> None:
        super().__init__()
        self._faults = iter(faults)

    def next_faults(self, faults: Iterable[str]) -> None:
        """Replace the order of faults."""
        self._faults = iter(faults)

    @property
    def store(self) -> Store:
        """Return the metering slice in this table."""
        return Store(self, table="usage", owned=SLICE, sleep=lambda _: None)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Commit, fail, or commit and lose the response."""
        fault = next(self._faults, FINE)
        if fault == LOST_REQUEST:
            raise ConnectTimeoutError(endpoint_url="memory")
        answer = super().transact_write_items(**arguments)
        if fault == LOST_RESPONSE:
            raise ConnectTimeoutError(endpoint_url="memory")
        return answer
