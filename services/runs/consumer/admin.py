"""Operators' commands: what runs and budgets say was used, and its correction."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.runs import wiring
from services.runs.domain.budget import Spent
from services.runs.domain.run import CallId
from services.runs.operations import accounting
from shared.messaging.commands import Commands
from shared.messaging.quarantine import add_quarantine_commands
from shared.times import to_text

handler = Commands()
add_quarantine_commands(handler, wiring.slice_store)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str


class _Tallies(_Asked):
    start: AwareDatetime
    end: AwareDatetime
    after: str | None = None


class _Span(_Asked):
    span: Annotated[str, Field(pattern="^run_[0-9A-Z]{6}$")]


class _Calls(_Asked):
    event_ids: list[Annotated[str, Field(pattern=r"^run_[0-9A-Z]{26}:\d+:\d+$")]]

    @property
    def calls(self) -> list[CallId]:
        """The calls that these events tell of."""
        parts = [event_id.split(":") for event_id in self.event_ids]
        return [CallId(run_id, int(attempt), int(number)) for run_id, attempt, number in parts]


class _Periods(_Asked):
    periods: list[str]


class _Spent(_Asked):
    period: str
    requests: int
    tokens: int


@handler.on("tallies", _Tallies)
def tallies(asked: _Tallies) -> dict[str, Any]:
    """The tallies of the calls of runs that were made in this time, and the place to go on from."""
    found, place = accounting.tallies(
        wiring.slice_runs(), asked.tenant_id, start=asked.start, end=asked.end, after=asked.after
    )
    return {"calls": {span: asdict(tally) for span, tally in found.items()}, "after": place}


@handler.on("calls", _Span)
def calls(asked: _Span) -> dict[str, Any]:
    """The calls of the runs that were made in one stretch of time."""
    found = accounting.calls_of(wiring.slice_runs(), asked.tenant_id, asked.span)
    return {
        "calls": {
            str(call_id): {"period": call.period, "meters": call.meters, "ended_at": to_text(call.ended_at)}
            for call_id, call in found
        }
    }


@handler.on("budgets", _Periods)
def budgets(asked: _Periods) -> dict[str, Any]:
    """What was taken from the budgets of these months, and how many calls are open in them."""
    found = {period: wiring.slice_budgets().find(asked.tenant_id, period) for period in asked.periods}
    return {
        "budgets": {
            period: {**asdict(budget.spent), "open": len(budget.open)} for period, budget in found.items() if budget
        }
    }


@handler.on("say_again", _Calls)
def say_again(asked: _Calls) -> dict[str, Any]:
    """Say once more what these calls used; who has counted them does not count them again."""
    return {"said": accounting.say_again(wiring.slice_runs(), asked.tenant_id, asked.calls)}


@handler.on("correct_budget", _Spent)
def correct_budget(asked: _Spent) -> dict[str, Any]:
    """Make a month's budget say that so much was spent."""
    spent = Spent(asked.requests, asked.tokens)
    before = accounting.correct_budget(
        wiring.slice_budgets(), wiring.copies().read, asked.tenant_id, asked.period, spent
    )
    return {"before": asdict(before)}
