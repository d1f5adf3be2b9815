"""Events of finished runs."""

from collections.abc import Mapping, Sequence

from services.metering import wiring
from services.metering.run_statistics import operations
from services.metering.run_statistics.domain import statistics
from shared.events.envelope import Event
from shared.events.runs import RunCancelled, RunCompleted, RunEnded, RunFailed
from shared.messaging.consumer import EventRouter
from shared.times import utc_now

events = EventRouter()


@events.on_batch(RunCompleted, RunFailed, RunCancelled)
def count_runs(batch: Sequence[Event[RunEnded]]) -> Mapping[str, Exception]:
    """Count finished runs in the counters of their day, each run once."""
    runs = [(event.tenant_id, statistics.finished_run_from_event(event)) for event in batch]
    return operations.count_runs(
        wiring.slice_store(), runs, consumer=wiring.CONSUMER, now=utc_now(), seen=wiring.seen_rows()
    )
