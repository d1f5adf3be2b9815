"""All that is not HTTP: the events of runs and tenants, the closing of hours, the archive, operators' commands."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.metering import wiring
from services.metering.domain import usage
from services.metering.domain.periods import Days
from services.metering.operations import archiving, closing, counting, recounting, storing, summarising
from services.metering.table import ledger
from services.metering.table.traces import TRACES
from shared.copies.tenant_access import TENANT_STATES
from shared.drift import tallies_by_span
from shared.events.envelope import Event
from shared.events.runs import ArtifactDeleted, ArtifactDownloaded, ArtifactStored, TenantRunsStopped, UsageRecorded
from shared.events.tenants import TenantState
from shared.messaging.commands import Commands
from shared.messaging.consumer import EventConsumer
from shared.meters import Meter
from shared.observability import logger
from shared.removal import remover as remover_of
from shared.storage.inbox import Delivery
from shared.times import to_text, utc_now

consumer = EventConsumer("metering.consumer", is_deleted=wiring.is_deleted)
remover = remover_of("metering", store=wiring.slice_store, traces=TRACES, buckets=wiring.buckets)
admin = Commands()


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _Close(_Asked):
    running: bool = False


class _Days(_Asked):
    start: date
    end: date
    """Half-open."""

    @property
    def days(self) -> Days:
        """The range."""
        return Days(self.start, self.end)


class _Month(_Asked):
    month: date
    """Its first day."""


class _Calls(_Asked):
    event_ids: list[str]


class _Revisions(_Asked):
    hour: AwareDatetime
    revisions: list[int]


class _Difference(_Asked):
    hour: AwareDatetime
    meters: dict[Meter, int]
    events: int


@consumer.on_batch(UsageRecorded)
def count_calls(events: Sequence[Event[UsageRecorded]]) -> Mapping[str, Exception]:
    """What calls used is in the ledger and in the counters, once."""
    entries = [(event.tenant_id, usage.entry_of_call(event)) for event in events]
    return counting.count(wiring.slice_store(), entries, now=utc_now())


@consumer.on_batch(ArtifactDownloaded)
def count_downloads(events: Sequence[Event[ArtifactDownloaded]]) -> Mapping[str, Exception]:
    """So are the bytes that left."""
    entries = [(event.tenant_id, usage.entry_of_download(event)) for event in events]
    return counting.count(wiring.slice_store(), entries, now=utc_now())


@consumer.on(ArtifactStored, ArtifactDeleted)
def change_storage(event: Event[ArtifactStored | ArtifactDeleted], delivery: Delivery) -> None:
    """What the tenant has in the bucket is known, from the moment that it changed."""
    change = storing.change_of(event)
    storing.change_storage(wiring.slice_store(), event.tenant_id, change, delivery, now=delivery.received_at)


@consumer.on(*TENANT_STATES)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """The copy of the tenant is as new as the event; `seq` makes a second delivery harmless."""
    wiring.copies().keep(event)


@consumer.on(TenantRunsStopped)
def close_tenant(event: Event[TenantRunsStopped], delivery: Delivery) -> None:
    """Nothing of the tenant is left to be counted."""
    closing.close_tenant(wiring.slice_store(), event, now=delivery.received_at)


def closer(_: dict[str, Any], context: object = None) -> None:  # noqa: ARG001 — Lambda passes it
    """Every minute: storage is worked out, what is due is closed, and what was used since is said."""
    store, now = wiring.slice_store(), utc_now()
    sampled = storing.sample_due(store, now=now)
    closed = closing.close_due(store, now=now)
    summarised = summarising.summarise_due(store, now=now)
    logger.info("closed", sampled=sampled, revisions=closed, summarised=summarised)


def archiver(_: dict[str, Any], context: object = None) -> None:  # noqa: ARG001 — Lambda passes it
    """Every hour: days to which nothing can come any more are archived, before their ledger goes."""
    archived = archiving.archive_due(wiring.slice_store(), wiring.archives(), now=utc_now())
    logger.info("archived", days=archived)


@admin.on("close", _Close)
def close(asked: _Close) -> dict[str, Any]:
    """Close what is open of a tenant now; what comes later is a correction."""
    closed = closing.close_early(wiring.slice_store(), asked.tenant_id, running=asked.running, now=utc_now())
    return {"closed": closed}


@admin.on("recount", _Days)
def recount(asked: _Days) -> dict[str, Any]:
    """What the ledger of these days adds up to, and the counters that say something else.

    It goes from the newest day back, and may stop early: `recounted_from` is the first day that it has done.
    """
    account = recounting.recount(wiring.slice_store(), asked.tenant_id, asked.days)
    counted = account.counted
    return {
        "recounted_from": str(account.days.start),
        "entries": counted.entries,
        "drift": [asdict(drift) for drift in account.drift],
        "spent": counted.spent,
        "calls": {span: asdict(tally) for span, tally in tallies_by_span(counted.calls).items()},
        "hours": {
            to_text(one.hour): {
                "numbers": {"events": one.amounts.events, **one.amounts.meters},
                "revision": one.revision,
                "at": to_text(one.rolled_up_at) if one.rolled_up_at else None,
            }
            for one in account.closed
        },
    }


@admin.on("months", _Days)
def months(asked: _Days) -> dict[str, Any]:
    """Where whole months do not say what their days say."""
    drift = recounting.months(wiring.slice_store(), asked.tenant_id, asked.days)
    return {"drift": [asdict(one) for one in drift]}


@admin.on("find_calls", _Calls)
def find_calls(asked: _Calls) -> dict[str, Any]:
    """What the ledger has of these calls, and the months of their budgets."""
    entries = ledger.find_entries(wiring.slice_store(), asked.tenant_id, asked.event_ids)
    return {"calls": {entry.event_id: {"period": entry.period, "meters": entry.meters} for entry in entries}}


@admin.on("correct_days", _Days)
def correct_days(asked: _Days) -> dict[str, Any]:
    """Make the counters of these days say what the ledger adds up to."""
    corrected = recounting.correct_days(wiring.slice_store(), asked.tenant_id, asked.days)
    return {"corrected": [asdict(drift) for drift in corrected]}


@admin.on("correct_month", _Month)
def correct_month(asked: _Month) -> dict[str, Any]:
    """Make the counters of a month say what its days say."""
    corrected = recounting.correct_month(wiring.slice_store(), asked.tenant_id, asked.month)
    return {"corrected": [asdict(drift) for drift in corrected]}


@admin.on("say_again", _Revisions)
def say_again(asked: _Revisions) -> dict[str, Any]:
    """Announce revisions of a closed hour once more; who has heard of them does nothing."""
    said = recounting.say_again(wiring.slice_store(), asked.tenant_id, asked.hour, asked.revisions, now=utc_now())
    return {"said": said}


@admin.on("tell", _Difference)
def tell(asked: _Difference) -> dict[str, Any]:
    """Announce a difference of a closed hour to those who heard something else of it."""
    revision = recounting.tell(
        wiring.slice_store(), asked.tenant_id, asked.hour, asked.meters, events=asked.events, now=utc_now()
    )
    return {"revision": revision.number}
