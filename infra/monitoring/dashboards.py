"""What the two dashboards show: how the mesh does, and what is done with it."""

from collections.abc import Sequence

from infra.monitoring.source import Source
from infra.monitoring.subject import Subjects
from infra.monitoring.widget import Widget, graph, line, searched
from infra.names import Names
from shared import metrics as m
from shared.declaration import Table


def operations(names: Names, subjects: Subjects) -> list[Widget]:
    """What goes wrong or slowly, from the API to the tables."""
    api = {"ApiName": names.api, "Stage": names.environment}
    return [
        graph(names, "API errors", [line(Source("AWS/ApiGateway", name, api)) for name in ("4XXError", "5XXError")]),
        graph(names, "API latency, 95 of 100 (ms)", [line(Source("AWS/ApiGateway", "Latency", api, stat="p95"))]),
        searched(names, "Requests", m.REQUESTS),
        searched(names, "Latency in the functions, 95 of 100 (ms)", m.LATENCY, stat="p95"),
        searched(names, "Answers of 400 to 499", m.CLIENT_ERRORS),
        searched(names, "Answers of 500 and above", m.SERVER_ERRORS),
        _functions(names, "Errors", subjects.functions),
        _functions(names, "Throttles", subjects.functions),
        _functions(names, "Duration", subjects.functions, stat="p95"),
        searched(names, "Cold starts", m.COLD_STARTS),
        _queues(names, "ApproximateAgeOfOldestMessage", subjects.queues),
        searched(names, "Age of messages when handled (ms)", m.QUEUE_AGE, stat="Maximum"),
        _queues(names, "ApproximateNumberOfMessagesVisible", subjects.dead_letters),
        searched(names, "Messages, failures and new dead letters", m.MESSAGES, m.FAILED_MESSAGES, m.DEAD_LETTERS),
        searched(names, "Events published, and found late in the outbox", m.EVENTS_PUBLISHED, m.OUTBOX_LATE),
        searched(names, "Age of events when published (ms)", m.OUTBOX_AGE, stat="Maximum"),
        _of(names, "Publisher behind the streams (ms)", "AWS/Lambda", "IteratorAge", "FunctionName", [names.publisher]),
        searched(names, "Runs waiting for a worker, 95 of 100 (ms)", m.QUEUE_WAIT, stat="p95"),
        searched(names, "Failed webhooks", m.WEBHOOK_FAILURES),
        searched(names, "Usage waiting for Stripe (s)", m.SYNC_LAG, stat="Maximum"),
        searched(
            names,
            "Requests that Stripe cannot serve, second subscriptions, disputes",
            m.BILLING_FAILING,
            m.DUPLICATE_SUBSCRIPTIONS,
            m.DISPUTES,
        ),
        searched(names, "Drift", m.DRIFT),
        searched(names, "Usage kept aside", m.UNCOUNTED_USAGE),
        searched(names, "Failed and quarantined entries of sweeps", m.SWEEP_FAILURES, m.QUARANTINED),
        searched(names, "Due entries that a sweep did not reach", m.SWEEP_BACKLOG, stat="Maximum"),
        _tables(names, "Reads turned away", "ReadThrottleEvents"),
        _tables(names, "Writes turned away", "WriteThrottleEvents"),
    ]


def business(names: Names, subjects: Subjects) -> list[Widget]:
    """What tenants do, what it costs, and what it brings in."""
    return [
        searched(names, "Active tenants", m.ACTIVE_TENANTS, stat="Maximum"),
        searched(names, "Monthly recurring revenue (cents)", m.MRR, stat="Maximum"),
        searched(names, "Runs by their end", m.RUNS_ENDED),
        searched(names, "Runs, from request to end, 95 of 100 (ms)", m.RUN_DURATION, stat="p95"),
        searched(names, "Tokens", m.TOKENS_IN, m.TOKENS_OUT),
        searched(names, "Cost at list prices (10⁻⁹ USD)", m.COST),
        searched(names, "Failed calls to providers", m.FAILED_CALLS),
        searched(names, "Calls to providers, 95 of 100 (ms)", m.CALL_DURATION, stat="p95"),
        searched(names, "Calls without a price", m.UNPRICED_CALLS),
        searched(names, "Runs refused by a budget", m.BUDGET_REFUSALS),
        _functions(names, "Invocations", subjects.http),
        _of(names, "Events, by who hears of them", "AWS/Events", "MatchedEvents", "RuleName", subjects.queues),
        _tables(names, "Written to the tables (units)", "ConsumedWriteCapacityUnits"),
    ]


def _functions(names: Names, metric: str, functions: Sequence[str], *, stat: str = "Sum") -> Widget:
    return _of(names, metric, "AWS/Lambda", metric, "FunctionName", functions, stat=stat)


def _queues(names: Names, metric: str, queues: Sequence[str]) -> Widget:
    return _of(names, metric, "AWS/SQS", metric, "QueueName", queues, stat="Maximum")


def _tables(names: Names, title: str, metric: str) -> Widget:
    return _of(names, title, "AWS/DynamoDB", metric, "TableName", [names.table(table) for table in Table])


def _of(
    names: Names, title: str, namespace: str, metric: str, dimension: str, things: Sequence[str], *, stat: str = "Sum"
) -> Widget:
    """A graph of one metric of AWS, with a line for each thing."""
    return graph(names, title, [line(Source(namespace, metric, {dimension: one}, stat)) for one in things])
