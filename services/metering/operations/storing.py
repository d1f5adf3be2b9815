"""Metering what lies in the bucket."""

from collections.abc import Mapping
from datetime import datetime

from services.metering.domain import storage as domain
from services.metering.domain.storage import Change
from services.metering.domain.usage import Entry
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


def change_storage(store: Store, tenant_id: str, changes: Mapping[Delivery, Change], *, now: datetime) -> None:
    """Apply changes of one tenant's storage, each once; hours that are sampled already are corrected.

    They are written together, so a tenant with many changes at the same time competes with itself less often.

    Raises:
        DependencyUnavailable: others change the same all the time, or the table does not answer.
    """
    for _ in range(_TRIES):
        stored = storage.read(store, tenant_id)
        # After the read: it is then without these changes, and so are the hours that it has sampled.
        new = storage.without_handled(store, tenant_id, changes)
        if not new:
            return
        after, late = stored, list[Entry]()
        for change in new.values():
            late += domain.corrections(after, change, now=now)
            after = after.with_change(change)
        counting.count_all(store, tenant_id, late, now=now)
        if storage.save(store, tenant_id, stored, after, deliveries=new):
            summarising.summarise(store, tenant_id, [f"{now:%Y-%m}"], now=now)
            return
    msg = "The storage of this tenant is changed by too many events at the same time. They are handled again."
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
