"""Trials: one run of a variant on an item, its budget and its scores."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from services.runs.experiments.domain.settings import Rate
from shared.ids import encode
from shared.money import NANO_PER_USD


class TrialStatus(StrEnum):
    """The states of a trial."""

    SCHEDULED = "scheduled"
    COMPLETED = "completed"
    FAILED = "failed"
    """Its run has no output."""
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the trial has ended."""
        return self is not TrialStatus.SCHEDULED


@dataclass(frozen=True, slots=True)
class Score:
    """The rating of a trial by one scorer: a value between 0 and 1, or an error."""

    value: Rate | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """The result of a trial that scorers rate."""

    message: str
    data: Any
    """The parsed output of an agent with a response schema; else None."""
    tool_calls: tuple[tuple[str, str], ...]
    """The names and the arguments, as the model wrote them."""
    latency_ms: int
    cost_nano_usd: int | None

    def costs_at_most(self, usd: str) -> bool | None:
        """Return whether the run costs at most this amount, or None if its cost is unknown."""
        return None if self.cost_nano_usd is None else self.cost_nano_usd <= Decimal(usd) * NANO_PER_USD


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of an experiment."""

    experiment_id: str
    number: int
    run_id: str
    item_id: str
    item: int
    variant: int
    repetition: int
    held_nano_usd: int
    held_tokens: int
    status: TrialStatus = TrialStatus.SCHEDULED
    spent_nano_usd: int = 0
    spent_tokens: int = 0
    cost_nano_usd: int | None = None
    latency_ms: int | None = None
    error_code: str | None = None
    scores: str = "{}"
    """JSON: by scorer, its value or its error."""

    @property
    def seq(self) -> int:
        """The revision: a trial is written when it is scheduled and when it ends."""
        return 2 if self.status.is_final else 1


def run_id_of(experiment_id: str, number: int, *, started_at: datetime) -> str:
    """Return the id of a trial's run, derived so that the run exists once, whatever is delivered twice."""
    digest = hashlib.sha256(f"{experiment_id}:{number}".encode()).digest()
    return f"run_{encode(started_at, int.from_bytes(digest[:10]))}"


def cancel_trial(trial: Trial) -> Trial:
    """Return a trial whose run was never submitted."""
    return replace(trial, status=TrialStatus.CANCELLED)
