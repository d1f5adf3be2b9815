"""How often each tenant reports usage, in windows of a few seconds."""

from datetime import datetime

from services.metering.domain.ingestion import MAX_REQUESTS_PER_WINDOW, window_of
from services.metering.table import SLICE
from shared.errors import DependencyUnavailable
from shared.storage.items import Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import Expression

_MAX_TRIES = 5


def take_request(store: Store, tenant_id: str, *, now: datetime) -> bool:
    """Count a request; return False when the window has no room for it. Usually this is one update."""
    key, window = Key(SLICE.key(tenant_id), "RATE#INGESTION"), window_of(now)
    add = Expression("ADD #requests :one", {"one": 1})
    # A window of a clock that is ahead is as good as our own.
    has_room = Expression(
        "#window >= :window AND #requests < :most", {"window": window, "most": MAX_REQUESTS_PER_WINDOW}
    )
    begin = Expression("SET #window = :window, #requests = :one", {"window": window, "one": 1})
    is_over = Expression("attribute_not_exists(#window) OR #window < :window", {"window": window})
    for _ in range(_MAX_TRIES):
        refused = store.try_update(key, add, when=has_room)
        if refused is None:
            return True
        if refused.there and Reader(refused.there).integer("window") >= window:
            return False
        if store.try_update(key, begin, when=is_over) is None:
            return True
    msg = "Too many requests of this tenant arrive at the same time. Send this one again."
    raise DependencyUnavailable(msg, retry_after_s=1)
