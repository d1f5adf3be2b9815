"""All that is not HTTP: the events of runs and tenants, the closing of hours, the archive."""

from collections.abc import Mapping, Sequence

from services.metering import wiring
from services.metering.domain import endings
from services.metering.domain import usage as domain
from services.metering.operations import archiving, closing, counting, ending, storing, summarising, upkeep
from services.metering.operations.upkeep import Kind
from services.metering.table.traces import EXPORTED, TRACES
from shared.copies.tenant_access import TENANT_STATES
from shared.events.envelope import Event
from shared.events.metering import UsageSummarised
from shared.events.runs import (
    ArtifactDeleted,
    ArtifactDownloaded,
    ArtifactStored,
    RunCancelled,
    RunCompleted,
    RunEnded,
    RunFailed,
    TenantRunsStopped,
    UsageRecorded,
)
from shared.events.tenants import TenantState
from shared.export.exporter import exporter as exporter_of
from shared.messaging.consumer import EventConsumer
from shared.messaging.schedule import Done, scheduled
from shared.metrics import DRIFT
from shared.removal import remover as remover_of
from shared.storage.inbox import Delivery
from shared.times import utc_now

_AT_ONCE = 16
"""Entries that a schedule handles at the same time: they mostly wait for DynamoDB, and one CPU serves as many."""

consumer = EventConsumer("metering.consumer", is_deleted=wiring.is_deleted)
CONTROL = tuple(kind.TYPE for kind in (*TENANT_STATES, TenantRunsStopped))
"""The events that do not wait behind usage."""

summariser = EventConsumer("metering.summariser", is_deleted=wiring.is_deleted)
remover = remover_of("metering", store=wiring.slice_store, traces=TRACES, empty_folder=wiring.empty_folder)
exporter = exporter_of("metering", store=wiring.tenant_store, depot=wiring.depot, traces=EXPORTED)


@consumer.on_batch(UsageRecorded)
def count_calls(events: Sequence[Event[UsageRecorded]]) -> Mapping[str, Exception]:
    """What calls used is in the ledger and in the counters, once."""
    entries = [(event.tenant_id, domain.entry_of_call(event)) for event in events]
    return counting.count(wiring.slice_store(), entries, now=utc_now(), pauses=wiring.pauses(), seen=wiring.seen_rows())


@consumer.on_batch(ArtifactDownloaded)
def count_downloads(events: Sequence[Event[ArtifactDownloaded]]) -> Mapping[str, Exception]:
    """So are the bytes that left."""
    entries = [(event.tenant_id, domain.entry_of_download(event)) for event in events]
    return counting.count(wiring.slice_store(), entries, now=utc_now(), seen=wiring.seen_rows())


@consumer.on_batch(RunCompleted, RunFailed, RunCancelled)
def count_endings(events: Sequence[Event[RunEnded]]) -> Mapping[str, Exception]:
    """How runs ended is in the counters of their day."""
    ended = [(event.tenant_id, endings.ending_of(event)) for event in events]
    return ending.count_endings(
        wiring.slice_store(), ended, consumer=consumer.name, now=utc_now(), seen=wiring.seen_rows()
    )


@consumer.on_batch(ArtifactStored, ArtifactDeleted)
def change_storage(events: Sequence[Event[ArtifactStored | ArtifactDeleted]]) -> Mapping[str, Exception]:
    """Apply changes of one tenant's storage, from the moments at which they happened."""
    now = utc_now()
    changes = {Delivery(consumer.name, event.id, now): storing.change_of(event) for event in events}
    storing.change_storage(wiring.slice_store(), events[0].tenant_id, changes, now=now)
    return {}


@consumer.on(*TENANT_STATES)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """The copy of the tenant is as new as the event; `seq` makes a second delivery harmless."""
    wiring.copies().keep(event)


@consumer.on(TenantRunsStopped)
def close_tenant(event: Event[TenantRunsStopped], delivery: Delivery) -> None:
    """Nothing of the tenant is left to be counted."""
    closing.close_tenant(wiring.slice_store(), event, now=delivery.received_at)


@summariser.on(UsageSummarised)
def look_again(event: Event[UsageSummarised], _: Delivery) -> None:
    """The queue has kept the event back for as long as nothing more is said: what was counted meanwhile is said now."""
    summarising.look_again(wiring.slice_store(), event.tenant_id, event.data.month, now=utc_now())


@scheduled("closed")
def closer() -> Done:
    """Every minute: storage is worked out, what is due is closed, and what was used since is said."""
    done, swept = upkeep.sweep_due(wiring.slice_store(), now=utc_now(), concurrency=_AT_ONCE)
    facts = {"sampled": done[Kind.STORAGE], "revisions": done[Kind.HOUR], "summarised": done[Kind.SUMMARY]}
    return facts, swept.metrics


@scheduled("archived")
def archiver() -> Done:
    """Every hour: days to which nothing can come any more are archived, before their ledger goes."""
    store, archives = wiring.slice_store(), wiring.archives()
    archived = archiving.archive_due(store, archives, now=utc_now(), concurrency=_AT_ONCE)
    return {"days": archived.days}, {DRIFT: archived.differing, **archived.swept.metrics}
