"""Metrics of the platform, each defined once; dashboards and alarms are built from these definitions.

No metric has the tenant as a dimension, because every combination of dimension values is billed as a metric of its own.
The tenant id is a field of the same log line.
"""

from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "ainexus"
COMMON = ("environment", "service")
"""The dimensions of every metric."""


class Unit(StrEnum):
    """The units, by their CloudWatch names."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    SECONDS = "Seconds"
    NONE = "None"
    """For quantities without a CloudWatch unit; the name of the metric contains the unit."""


class Class(StrEnum):
    """The class of a request, by the latency that is expected of it."""

    READ = "read"
    CHANGE = "change"
    WAIT = "wait"
    """The request waits for a model, or streams its output."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that is published to CloudWatch."""

    name: str
    unit: Unit = Unit.COUNT
    by: tuple[str, ...] = ()
    """The dimensions besides environment and service; each has few values."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """All dimensions of the metric."""
        return (*COMMON, *self.by)


COLD_STARTS = Metric("ColdStarts")
"""Containers that started."""

REQUESTS = Metric("Requests", by=("route_class",))
LATENCY = Metric("Latency", Unit.MILLISECONDS, by=("route_class",))
"""Time in the function, without the gateway and without a cold start."""
CLIENT_ERRORS = Metric("ClientErrors", by=("route_class",))
"""Responses with a status of 400 to 499."""
SERVER_ERRORS = Metric("ServerErrors", by=("route_class",))
"""Responses with a status of 500 or above."""

QUEUE_AGE = Metric("QueueAge", Unit.MILLISECONDS, by=("queue",))
"""The time since the oldest message of a batch was sent."""
MESSAGES = Metric("Messages", by=("queue",))
FAILED_MESSAGES = Metric("FailedMessages", by=("queue",))
"""Messages that are received again, unless it was their last attempt."""
DEAD_LETTERS = Metric("DeadLetters", by=("queue",))
"""Messages that failed for the last time."""

EVENTS_PUBLISHED = Metric("EventsPublished")
OUTBOX_AGE = Metric("OutboxAge", Unit.MILLISECONDS)
"""The time from the occurrence of the oldest event of a batch to its publication."""
OUTBOX_LATE = Metric("OutboxLate")
"""Events that the stream did not deliver, and that a sweep found."""

RUNS_ENDED = Metric("RunsEnded", by=("state", "plan"))
RUN_DURATION = Metric("RunDuration", Unit.MILLISECONDS, by=("state", "plan"))
"""From the request to the end of the run, including the time for tools."""
QUEUE_WAIT = Metric("QueueWait", Unit.MILLISECONDS)
"""The time from the queueing of a run until a worker takes it."""
CALL_DURATION = Metric("CallDuration", Unit.MILLISECONDS, by=("provider", "plan"))
TOKENS_IN = Metric("TokensIn", by=("provider", "plan"))
TOKENS_OUT = Metric("TokensOut", by=("provider", "plan"))
COST = Metric("CostNanoUsd", Unit.NONE, by=("provider", "plan"))
"""The provider's list price."""
FAILED_CALLS = Metric("FailedCalls", by=("provider", "plan"))
UNPRICED_CALLS = Metric("UnpricedCalls")
"""Calls with usage whose price is unknown."""
BUDGET_REFUSALS = Metric("BudgetRefusals", by=("plan",))
"""Runs that were refused because of the tenant's limits."""

ACTIVE_TENANTS = Metric("ActiveTenants", by=("plan",))
MRR = Metric("MonthlyRecurringCents", Unit.NONE, by=("plan",))
"""The monthly price of the plans of active tenants, in US cents, without usage."""

WEBHOOK_FAILURES = Metric("WebhookFailures")
"""Webhooks whose signature was refused, or that could not be processed."""
SYNC_LAG = Metric("SyncLag", Unit.SECONDS)
"""Seconds since the end of the oldest hour whose usage has not been sent to Stripe yet."""
BILLING_FAILING = Metric("BillingFailing")
"""Requests that Stripe refused because of the API key, a missing meter or a missing price."""
DUPLICATE_SUBSCRIPTIONS = Metric("DuplicateSubscriptions")
"""Second subscriptions of a tenant that were found in Stripe."""
DISPUTES = Metric("Disputes")
"""Payments that a cardholder disputed."""
UNCOUNTED_USAGE = Metric("UncountedUsage")
"""Usage of the platform itself that is quarantined: another usage event with different content has its id, or it
arrived after 35 days. Usage that tenants report is refused in the response instead."""
SWEEP_FAILURES = Metric("SweepFailures")
"""Entries of sweeps that failed; they are tried again later."""
QUARANTINED = Metric("Quarantined")
"""Entries of sweeps that failed too often and were quarantined; `ainexus quarantine list` shows them."""
SWEEP_BACKLOG = Metric("SweepBacklog")
"""Entries that were due when the time of a sweep was over."""
DRIFT = Metric("Drift")
"""Differences between two records of the same usage: counters and archive, sync ledger and Stripe."""

METRICS = tuple(found for found in list(globals().values()) if isinstance(found, Metric))
