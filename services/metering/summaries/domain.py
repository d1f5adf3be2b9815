"""What a tenant has used in a month so far, and which parts of its limits that is."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.metering.domain.usage import Amounts, Meters
from shared.events.envelope import Event, happened
from shared.events.metering import QuotaThresholdReached, UsageSummarised
from shared.meters import Meter
from shared.plans import UNLIMITED
from shared.tenancy.context import Allowance

Limit = Literal["max_requests_per_month", "max_tokens_per_month", "max_storage_gb"]
Percent = Literal[50, 80, 100]

PERCENTS: tuple[Percent, ...] = (50, 80, 100)
BYTES_PER_GB = 10**9

SUMMARISED_EVERY_S = 10
"""The time between two summaries of a month, so that a busy tenant does not flood the bus."""
_SUMMARISED = frozenset({Meter.REQUESTS, Meter.TOKENS_IN, Meter.TOKENS_OUT})

LOOKED_AT_AGAIN_AFTER_S = SUMMARISED_EVERY_S + 1
"""What was counted in that time is said now; the second is for clocks that differ."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A month so far."""

    requests: int = 0
    tokens: int = 0
    """Input and output together."""
    storage_bytes: int = 0
    """Stored at this moment."""


def is_summarised(meters: Meters) -> bool:
    """Whether a summary shows anything of it; what is stored has its own way there."""
    return not _SUMMARISED.isdisjoint(meters)


def summary_of(amounts: Amounts, *, storage_bytes: int) -> Summary:
    """The summary of what was counted in a month."""
    meters = amounts.meters
    tokens = meters.get(Meter.TOKENS_IN, 0) + meters.get(Meter.TOKENS_OUT, 0)
    return Summary(meters.get(Meter.REQUESTS, 0), tokens, storage_bytes)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A part of a limit that is used up."""

    limit: Limit
    percent: Percent
    used: int
    allowed: int

    @property
    def name(self) -> str:
        """The same for the same part of the same limit."""
        return f"{self.limit}:{self.percent}"


def thresholds_reached(summary: Summary, allowance: Allowance, *, said: Collection[str]) -> list[Threshold]:
    """The thresholds that are reached, but for those whose names are in `said`."""
    return [threshold for threshold in _reached(summary, allowance) if threshold.name not in said]


def _reached(summary: Summary, allowance: Allowance) -> Iterator[Threshold]:
    limits: tuple[tuple[Limit, int, int, int], ...] = (
        ("max_requests_per_month", summary.requests, allowance.requests_per_month, 1),
        ("max_tokens_per_month", summary.tokens, allowance.tokens_per_month, 1),
        ("max_storage_gb", summary.storage_bytes, allowance.storage_gb, BYTES_PER_GB),
    )
    for limit, used, allowed, unit in limits:
        if allowed == UNLIMITED or used <= 0:
            continue
        for percent in PERCENTS:
            if used * 100 >= allowed * unit * percent:
                yield Threshold(limit, percent, used, allowed * unit)


def news(
    tenant_id: str, month: str, summary: Summary, thresholds: list[Threshold], *, seq: int, at: datetime
) -> list[Event[Any]]:
    """The events that tell of a summary, and of thresholds that are reached for the first time."""
    said = UsageSummarised(
        month=month, requests=summary.requests, tokens=summary.tokens, storage_bytes=summary.storage_bytes
    )
    summarised = happened(
        said, event_id=f"{tenant_id}:{month}:summary:{seq}", tenant_id=tenant_id, subject=month, seq=seq, at=at
    )
    return [summarised, *(_event_of(tenant_id, month, threshold, at=at) for threshold in thresholds)]


def _event_of(tenant_id: str, month: str, threshold: Threshold, *, at: datetime) -> Event[QuotaThresholdReached]:
    said = QuotaThresholdReached(
        limit=threshold.limit,
        period=month,
        percent=threshold.percent,
        used=threshold.used,
        allowed=threshold.allowed,
    )
    event_id = f"{tenant_id}:{month}:{threshold.name}"
    return happened(said, event_id=event_id, tenant_id=tenant_id, subject=month, seq=threshold.percent, at=at)
