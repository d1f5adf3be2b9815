"""The metrics: every number of our own that is watched, said once; dashboards and alarms are built from them.

A metric is never split by tenant: every combination of values is a metric of its own, and is paid for. Which tenant it
was stands beside it, in the same log line.
"""

from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "ainexus"
COMMON = ("environment", "service")
"""By what every metric is split."""


class Unit(StrEnum):
    """The units, as CloudWatch calls them."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    SECONDS = "Seconds"
    NONE = "None"
    """Of what CloudWatch has no unit for; the metric's name says it."""


class Class(StrEnum):
    """What kind of request it is, since they are not equally quick."""

    READ = "read"
    CHANGE = "change"
    WAIT = "wait"
    """It waits for a model, or follows one."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that is watched."""

    name: str
    unit: Unit = Unit.COUNT
    by: tuple[str, ...] = ()
    """By what it is split besides environment and service; each has few values."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """By what it is split."""
        return (*COMMON, *self.by)


COLD_STARTS = Metric("ColdStarts")
"""Containers that have begun."""

REQUESTS = Metric("Requests", by=("route_class",))
LATENCY = Metric("Latency", Unit.MILLISECONDS, by=("route_class",))
"""In the function: neither the gateway nor a cold start is in it."""
CLIENT_ERRORS = Metric("ClientErrors", by=("route_class",))
"""Answers of 400 to 499."""
SERVER_ERRORS = Metric("ServerErrors", by=("route_class",))
"""Answers of 500 and above."""

QUEUE_AGE = Metric("QueueAge", Unit.MILLISECONDS, by=("queue",))
"""Since the oldest message of a batch was sent."""
MESSAGES = Metric("Messages", by=("queue",))
FAILED_MESSAGES = Metric("FailedMessages", by=("queue",))
"""They come again, unless it was the last time."""
DEAD_LETTERS = Metric("DeadLetters", by=("queue",))
"""Messages that have failed for the last time."""

EVENTS_PUBLISHED = Metric("EventsPublished")
OUTBOX_AGE = Metric("OutboxAge", Unit.MILLISECONDS)
"""From what has happened until it was on the bus; the oldest event of a batch."""
OUTBOX_LATE = Metric("OutboxLate")
"""Events that the stream has not brought, and a sweep has found."""

RUNS_ENDED = Metric("RunsEnded", by=("state", "plan"))
RUN_DURATION = Metric("RunDuration", Unit.MILLISECONDS, by=("state", "plan"))
"""From the request until the end, the time for tools included."""
QUEUE_WAIT = Metric("QueueWait", Unit.MILLISECONDS)
"""Of a run, until a worker took it."""
CALL_DURATION = Metric("CallDuration", Unit.MILLISECONDS, by=("provider", "plan"))
TOKENS_IN = Metric("TokensIn", by=("provider", "plan"))
TOKENS_OUT = Metric("TokensOut", by=("provider", "plan"))
COST = Metric("CostNanoUsd", Unit.NONE, by=("provider", "plan"))
"""The provider's list price."""
FAILED_CALLS = Metric("FailedCalls", by=("provider", "plan"))
UNPRICED_CALLS = Metric("UnpricedCalls")
"""Calls that have used something whose price is not known."""
BUDGET_REFUSALS = Metric("BudgetRefusals", by=("plan",))
"""Runs that a tenant's limits did not allow."""

ACTIVE_TENANTS = Metric("ActiveTenants", by=("plan",))
MRR = Metric("MonthlyRecurringCents", Unit.NONE, by=("plan",))
"""What the plans of active tenants cost a month, without usage."""

WEBHOOK_FAILURES = Metric("WebhookFailures")
"""Webhooks whose signature was refused, or that could not be handled."""
SYNC_LAG = Metric("SyncLag", Unit.SECONDS)
"""Since the end of the oldest hour whose usage is still to be sent to Stripe."""
BILLING_FAILING = Metric("BillingFailing")
"""Requests for which Stripe does not accept the API key, or lacks a meter or price."""
DUPLICATE_SUBSCRIPTIONS = Metric("DuplicateSubscriptions")
"""Second subscriptions of one tenant that were found at Stripe."""
DISPUTES = Metric("Disputes")
"""Payments that a cardholder has disputed."""
UNCOUNTED_USAGE = Metric("UncountedUsage")
"""Usage of our own that is kept aside: another content has its id, or it came after 35 days. What tenants report is
answered to them instead."""
SWEEP_FAILURES = Metric("SweepFailures")
"""Entries of scheduled loops that failed; they are tried again later."""
QUARANTINED = Metric("Quarantined")
"""Entries of scheduled loops that failed too often and were taken out; `ainexus quarantine list` shows them."""
SWEEP_BACKLOG = Metric("SweepBacklog")
"""Entries that were due and not reached before a sweep's time was over."""
DRIFT = Metric("Drift")
"""Differences between two books: the counters and the archive, the sync ledger and Stripe."""

METRICS = tuple(found for found in list(globals().values()) if isinstance(found, Metric))
