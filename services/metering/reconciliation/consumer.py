"""Operator commands that compare and correct usage."""

import time
from dataclasses import asdict
from datetime import date
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.metering import wiring
from services.metering.counters.domain.days import Days
from services.metering.ledger.table.entries import LedgerTable
from services.metering.reconciliation import operations
from shared.messaging.commands import CommandRouter
from shared.meters import Meter, published
from shared.times import to_text, utc_now

commands = CommandRouter()


class _TenantCommand(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _DaysCommand(_TenantCommand):
    start: date
    end: date
    """Exclusive."""

    @property
    def days(self) -> Days:
        """The requested range."""
        return Days(self.start, self.end)


class _MonthCommand(_TenantCommand):
    month: date
    """The first day of the month."""


class _CallsCommand(_TenantCommand):
    event_ids: list[str]


class _RevisionsCommand(_TenantCommand):
    hour: AwareDatetime
    revisions: list[int]


class _DifferenceCommand(_TenantCommand):
    hour: AwareDatetime
    meters: dict[Meter, int]
    events: int


@commands.on("recount", _DaysCommand)
def recount(command: _DaysCommand) -> dict[str, Any]:
    """Sum the ledger of these days and return the counters that differ.

    The recount starts at the newest day and may stop early. `recounted_from` is the oldest day that it covers.
    """
    result = operations.recount(wiring.slice_store(), command.tenant_id, command.days)
    counted = result.ledger
    return {
        "recounted_from": str(result.days.start),
        "entries": counted.entries,
        "drift": [asdict(drift) for drift in result.drift],
        "spent": counted.spent,
        "calls": {span: asdict(tally) for span, tally in counted.calls.items()},
        "hours": {
            to_text(item.hour): {
                "numbers": {"events": item.amounts.events, **published(item.amounts.meters)},
                "revision": item.revision,
                "at": to_text(item.rolled_up_at) if item.rolled_up_at else None,
            }
            for item in result.closed_hours
        },
    }


@commands.on("months", _DaysCommand)
def compare_months(command: _DaysCommand) -> dict[str, Any]:
    """Return the differences between whole months and the sums of their days."""
    drift = operations.compare_months(wiring.slice_store(), command.tenant_id, command.days)
    return {"drift": [asdict(item) for item in drift]}


@commands.on("find_calls", _CallsCommand)
def find_calls(command: _CallsCommand) -> dict[str, Any]:
    """Return the meters of these calls in the ledger, and the months of their budgets."""
    entries = LedgerTable(wiring.slice_store(), command.tenant_id).find_many(command.event_ids)
    return {"calls": {name: {"period": entry.period, "meters": entry.meters} for name, entry in entries.items()}}


@commands.on("correct_days", _DaysCommand)
def correct_days(command: _DaysCommand) -> dict[str, Any]:
    """Correct the counters of these days to match the ledger."""
    corrected = operations.correct_days(wiring.slice_store(), command.tenant_id, command.days, sleep=time.sleep)
    return {"corrected": [asdict(drift) for drift in corrected]}


@commands.on("correct_month", _MonthCommand)
def correct_month(command: _MonthCommand) -> dict[str, Any]:
    """Correct the counters of a month to match the sums of its days."""
    corrected = operations.correct_month(wiring.slice_store(), command.tenant_id, command.month)
    return {"corrected": [asdict(drift) for drift in corrected]}


@commands.on("republish", _RevisionsCommand)
def republish(command: _RevisionsCommand) -> dict[str, Any]:
    """Publish revisions of a closed hour again, with the same event ids. Consumers ignore those that they applied."""
    event_ids = operations.republish(
        wiring.slice_store(), command.tenant_id, command.hour, command.revisions, now=utc_now()
    )
    return {"published": event_ids}


@commands.on("publish_correction", _DifferenceCommand)
def publish_correction(command: _DifferenceCommand) -> dict[str, Any]:
    """Publish the difference of a closed hour, as a correction, to consumers that received other amounts."""
    revision = operations.publish_correction(
        wiring.slice_store(), command.tenant_id, command.hour, command.meters, events=command.events, now=utc_now()
    )
    return {"revision": revision.number}
