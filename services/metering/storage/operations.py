"""Metering of storage in the bucket."""

from collections.abc import Mapping
from datetime import datetime

from services.metering.errors import StorageChanged
from services.metering.ledger import operations as ledger
from services.metering.ledger.domain.entries import LedgerEntry
from services.metering.storage import domain
from services.metering.storage.domain import StorageChange
from services.metering.storage.table import StorageTable
from shared.deadline import remaining_s
from shared.storage.inbox import Delivery
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store

_MAX_ATTEMPTS = 20


def change_storage(store: Store, tenant_id: str, changes: Mapping[Delivery, StorageChange], *, now: datetime) -> bool:
    """Apply changes of one tenant's storage, each once, and correct hours that are already sampled.

    The changes are written together, so that a tenant with many simultaneous changes conflicts with itself less often.

    Returns:
        Whether there was any change that was not applied before.

    Raises:
        StorageChanged: other writers changed the storage during every attempt.
        DependencyUnavailable: the table does not respond.
    """
    table = StorageTable(store, tenant_id)

    def attempt() -> bool:
        stored = table.read()
        # Read after the storage: a change that is not applied now is not part of that storage or its samples.
        new = table.without_applied(changes)
        if not new:
            return False
        after, corrections = stored, list[LedgerEntry]()
        for change in new.values():
            corrections += domain.correction_entries(after, change, now=now)
            after = after.with_change(change)
        ledger.count_all(store, tenant_id, corrections, now=now)
        if not table.save(stored, after, deliveries=new):
            raise StorageChanged
        return True

    return retry_on_conflict(attempt, on=StorageChanged, max_attempts=_MAX_ATTEMPTS)


def sample_storage(store: Store, tenant_id: str, *, now: datetime) -> bool:
    """Sample and count the storage of a tenant for all hours that have ended.

    One write stores the sample of an hour, and it is counted afterwards. A sample that is counted twice therefore has
    the same content.

    Returns:
        False if the time ended before all hours were done. The remaining hours stay due.

    Raises:
        DependencyUnavailable: the table does not respond.
    """
    table = StorageTable(store, tenant_id)
    while remaining_s() > 0:
        stored = table.read()
        if stored.sample:
            ledger.count_all(store, tenant_id, [domain.entry_from_sample(stored.sample)], now=now)
            after = stored.without_sample()
        else:
            after = stored.next_sample(now=now)
        if after is None:
            return True
        table.save(stored, after)
    return False
