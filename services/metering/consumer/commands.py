"""What operators' commands ask of this service."""

from dataclasses import asdict
from datetime import date
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.metering import wiring
from services.metering.domain.periods import Days
from services.metering.operations import closing, recounting
from services.metering.table import ledger
from shared.messaging.commands import Commands
from shared.messaging.quarantine import add_quarantine_commands
from shared.meters import Meter
from shared.times import to_text, utc_now

admin = Commands()
add_quarantine_commands(admin, wiring.slice_store)


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
        "calls": {span: asdict(tally) for span, tally in counted.calls.items()},
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
