"""A table in memory whose transactions fail as a test says."""

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ConnectTimeoutError

from services.metering.table import SLICE
from shared.storage.store import Store
from tests.dynamodb.memory import MemoryDynamoDB

LOST_ANSWER, LOST_REQUEST, FINE = "lost answer", "lost request", "fine"


class Scripted(MemoryDynamoDB):
    """Fails in this order, and is fine when there is nothing more."""

    def __init__(self, faults: Iterable[str]) -> None:
        super().__init__()
        self._faults = iter(faults)

    def next_faults(self, faults: Iterable[str]) -> None:
        """From here on, fail in this order."""
        self._faults = iter(faults)

    @property
    def store(self) -> Store:
        """The metering slice in this table."""
        return Store(self, table="usage", owned=SLICE, sleep=lambda _: None)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """All actions, or none; or nobody knows."""
        fault = next(self._faults, FINE)
        if fault == LOST_REQUEST:
            raise ConnectTimeoutError(endpoint_url="memory")
        answer = super().transact_write_items(**arguments)
        if fault == LOST_ANSWER:
            raise ConnectTimeoutError(endpoint_url="memory")
        return answer
