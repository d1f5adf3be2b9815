"""Events of the runs service that report usage."""

from collections.abc import Mapping, Sequence

from services.metering import wiring
from services.metering.ingestion import operations
from services.metering.ledger.domain.entries import entry_from_call, entry_from_download
from services.metering.storage.domain import change_from_event
from shared.events.envelope import Event
from shared.events.runs import ArtifactDeleted, ArtifactDownloaded, ArtifactStored, EarlierUsageRecorded, UsageRecorded
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery
from shared.times import utc_now

events = EventRouter()


@events.on_batch(UsageRecorded, EarlierUsageRecorded)
def count_calls(batch: Sequence[Event[UsageRecorded | EarlierUsageRecorded]]) -> Mapping[str, Exception]:
    """Count the usage of calls in the ledger and in the counters, each call once."""
    entries = [(event.tenant_id, entry_from_call(event)) for event in batch]
    return operations.count(
        wiring.slice_store(), entries, now=utc_now(), throttle=wiring.summary_throttle(), seen=wiring.seen_rows()
    )


@events.on_batch(ArtifactDownloaded)
def count_downloads(batch: Sequence[Event[ArtifactDownloaded]]) -> Mapping[str, Exception]:
    """Count the bytes of downloads in the ledger and in the counters, each download once."""
    entries = [(event.tenant_id, entry_from_download(event)) for event in batch]
    return operations.count(wiring.slice_store(), entries, now=utc_now(), seen=wiring.seen_rows())


@events.on_batch(ArtifactStored, ArtifactDeleted)
def change_storage(batch: Sequence[Event[ArtifactStored | ArtifactDeleted]]) -> Mapping[str, Exception]:
    """Apply changes of one tenant's storage, from the times at which they occurred."""
    now = utc_now()
    changes = {Delivery(wiring.CONSUMER, event.id, now): change_from_event(event) for event in batch}
    operations.change_storage(wiring.slice_store(), batch[0].tenant_id, changes, now=now)
    return {}
