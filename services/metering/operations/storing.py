"""Metering what lies in the bucket."""

from datetime import datetime

from services.metering.domain import storage as domain
from services.metering.domain.storage import Change
from services.metering.operations import counting, summarising
from services.metering.table import storage
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import ArtifactDeleted, ArtifactStored
from shared.observability import logger
from shared.storage.inbox import Delivery
from shared.storage.store import Store

SAMPLED_AT_ONCE = 500
"""Tenants whose storage one invocation works out."""

_TRIES = 20


def change_of(event: Event[ArtifactStored | ArtifactDeleted]) -> Change:
    """What an event says of the bucket."""
    size = event.data.bytes
    return Change(event.id, event.occurred_at, size if isinstance(event.data, ArtifactStored) else -size)


def change_storage(store: Store, tenant_id: str, change: Change, delivery: Delivery, *, now: datetime) -> None:
    """Bytes came or went; hours that are worked out already are corrected.

    Raises:
        AlreadyHandled: this was known.
        DependencyUnavailable: others change the same all the time, or the table does not answer.
    """
    for _ in range(_TRIES):
        stored = storage.read(store, tenant_id)
        # After the read: what it shows is then without this change, and so are the hours that it has worked out.
        if storage.is_handled(store, tenant_id, delivery):
            return
        counting.count_all(store, tenant_id, domain.corrections(stored, change, now=now), now=now)
        if storage.save(store, tenant_id, stored, stored.with_change(change), delivery=delivery):
            summarising.summarise(store, tenant_id, [f"{now:%Y-%m}"], now=now)
            return
    msg = "The tenant's storage changes all the time."
    raise DependencyUnavailable(msg, retry_after_s=1)


def sample_due(store: Store, *, now: datetime) -> int:
    """Work out and count the storage of the hours that have ended, of all tenants; says of how many."""
    due = storage.list_due(store, now=now, limit=SAMPLED_AT_ONCE)
    for tenant_id in due:
        try:
            sample(store, tenant_id, now=now)
        except DependencyUnavailable as error:
            logger.warning("storage not sampled", tenant_id=tenant_id, error=str(error))
    return len(due)


def sample(store: Store, tenant_id: str, *, now: datetime) -> None:
    """Work out and count the storage of a tenant's hours that have ended.

    An hour is worked out in one write and counted after it, so that what is counted twice has the same content.

    Raises:
        DependencyUnavailable: the table does not answer.
    """
    while True:
        stored = storage.read(store, tenant_id)
        if stored.sample:
            counting.count_all(store, tenant_id, [domain.entry_of(stored.sample)], now=now)
            after = stored.counted()
        else:
            after = stored.next_sample(now=now)
        if after is None:
            return
        storage.save(store, tenant_id, stored, after)
