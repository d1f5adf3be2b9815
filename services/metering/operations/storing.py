"""Metering what lies in the bucket."""

from datetime import datetime

from services.metering.domain import storage as domain
from services.metering.domain.storage import Change
from services.metering.operations import counting, summarising
from services.metering.table import storage
from shared.deadline import remaining_s
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import ArtifactDeleted, ArtifactStored
from shared.storage.inbox import Delivery
from shared.storage.store import Store

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


def sample(store: Store, tenant_id: str, *, now: datetime) -> bool:
    """Work out and count the storage of a tenant's hours that have ended.

    An hour is worked out in one write and counted after it, so that what is counted twice has the same content.

    Returns:
        False when the time was over before all hours were done; the rest stays due.

    Raises:
        DependencyUnavailable: the table does not answer.
    """
    while remaining_s() > 0:
        stored = storage.read(store, tenant_id)
        if stored.sample:
            counting.count_all(store, tenant_id, [domain.entry_of(stored.sample)], now=now)
            after = stored.counted()
        else:
            after = stored.next_sample(now=now)
        if after is None:
            return True
        storage.save(store, tenant_id, stored, after)
    return False
