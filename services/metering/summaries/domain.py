"""Summaries of a tenant's month so far, and the thresholds of its limits."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.metering.counters.domain.amounts import Amounts
from services.metering.ledger.domain.entries import Meters
from shared.events.envelope import Event, new_event
from shared.events.metering import QuotaThresholdReached, UsageSummarized
from shared.meters import Meter
from shared.plans import UNLIMITED
from shared.tenancy.context import Allowance

Limit = Literal["max_requests_per_month", "max_tokens_per_month", "max_storage_gb"]
Percent = Literal[50, 80, 100]

PERCENTS: tuple[Percent, ...] = (50, 80, 100)
BYTES_PER_GB = 10**9

SUMMARY_INTERVAL_S = 10
"""The interval between two summaries of a month, so that a busy tenant does not flood the bus."""
_SUMMARIZED_METERS = frozenset({Meter.REQUESTS, Meter.TOKENS_IN, Meter.TOKENS_OUT})

RECHECK_DELAY_S = SUMMARY_INTERVAL_S + 1
"""The delay before usage of that interval is published. The additional second allows for clock skew."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The usage of a month so far."""

    requests: int = 0
    tokens: int = 0
    """Input and output tokens."""
    storage_bytes: int = 0
    """Bytes in the bucket now."""


def is_summarized(meters: Meters) -> bool:
    """Return whether a summary includes any of these meters. Changes of storage trigger a summary separately."""
    return not _SUMMARIZED_METERS.isdisjoint(meters)


def summary_of(amounts: Amounts, *, storage_bytes: int) -> Summary:
    """Return the summary of a month's amounts."""
    meters = amounts.meters
    tokens = meters.get(Meter.TOKENS_IN, 0) + meters.get(Meter.TOKENS_OUT, 0)
    return Summary(meters.get(Meter.REQUESTS, 0), tokens, storage_bytes)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A percentage of a limit that usage reached."""

    limit: Limit
    percent: Percent
    used: int
    allowed: int

    @property
    def name(self) -> str:
        """The identity of the threshold within a month."""
        return f"{self.limit}:{self.percent}"


def thresholds_reached(summary: Summary, allowance: Allowance, *, published: Collection[str]) -> list[Threshold]:
    """Return the reached thresholds, except those whose names are in `published`."""
    return [threshold for threshold in _reached(summary, allowance) if threshold.name not in published]


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


def summary_events(
    tenant_id: str, month: str, summary: Summary, thresholds: list[Threshold], *, seq: int, at: datetime
) -> list[Event[Any]]:
    """Return the events that publish a summary, and thresholds that are reached for the first time."""
    payload = UsageSummarized(
        month=month, requests=summary.requests, tokens=summary.tokens, storage_bytes=summary.storage_bytes
    )
    summarized = new_event(
        payload, event_id=f"{tenant_id}:{month}:summary:{seq}", tenant_id=tenant_id, subject=month, seq=seq, at=at
    )
    return [summarized, *(_event_of(tenant_id, month, threshold, at=at) for threshold in thresholds)]


def _event_of(tenant_id: str, month: str, threshold: Threshold, *, at: datetime) -> Event[QuotaThresholdReached]:
    payload = QuotaThresholdReached(
        limit=threshold.limit,
        period=month,
        percent=threshold.percent,
        used=threshold.used,
        allowed=threshold.allowed,
    )
    event_id = f"{tenant_id}:{month}:{threshold.name}"
    return new_event(payload, event_id=event_id, tenant_id=tenant_id, subject=month, seq=threshold.percent, at=at)
