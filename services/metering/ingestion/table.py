"""The rate limit of requests that report usage, in windows of a few seconds."""

from dataclasses import dataclass
from datetime import datetime

from services.metering.errors import ReportsCountedElsewhere
from services.metering.ingestion.domain import MAX_REQUESTS_PER_WINDOW, window_of
from shared.storage.codec import Codec
from shared.storage.retry import retry_on_conflict
from shared.storage.table import TenantTable, adding
from shared.storage.transaction import Expression


@dataclass(frozen=True, slots=True)
class RequestWindow:
    """A window, and the number of requests in it."""

    window: int
    requests: int


class RateTable(TenantTable[RequestWindow]):
    """The last window of one tenant."""

    prefix = "RATE#INGESTION"
    codec = Codec(RequestWindow)

    def admit_request(self, *, now: datetime) -> bool:
        """Count a request, usually with one update. Return False if the tenant used up the current window.

        Raises:
            ReportsCountedElsewhere: too many simultaneous requests of the tenant changed the window.
        """
        return retry_on_conflict(lambda: self._admit(window_of(now)), on=ReportsCountedElsewhere)

    def _admit(self, window: int) -> bool:
        # A window of a clock that is ahead is accepted as the current one.
        has_room = Expression(
            "#window >= :window AND #requests < :most", {"window": window, "most": MAX_REQUESTS_PER_WINDOW}
        )
        refused = self.store.try_update(self.key(), adding({"requests": 1}), when=has_room)
        if refused is None:
            return True
        if refused.existing and self.decode(refused.existing).window >= window:
            return False
        is_over = Expression("attribute_not_exists(#window) OR #window < :window", {"window": window})
        if self.store.try_update(self.key(), self.setting(window=window, requests=1), when=is_over):
            raise ReportsCountedElsewhere
        return True
