"""The two dashboards: operations and business."""

from collections.abc import Sequence

from infra.monitoring.source import MetricSource
from infra.monitoring.subject import Subjects
from infra.monitoring.widget import Widget, graph, line, search_graph
from infra.names import Names
from shared import metrics as m
from shared.declaration import Table


def operations(names: Names, subjects: Subjects) -> list[Widget]:
    """Return the graphs of errors and latencies, from the API to the tables."""
    api = {"ApiName": names.api, "Stage": names.environment}
    return [
        graph(
            names, "API errors", [line(MetricSource("AWS/ApiGateway", name, api)) for name in ("4XXError", "5XXError")]
        ),
        graph(names, "API latency, 95 of 100 (ms)", [line(MetricSource("AWS/ApiGateway", "Latency", api, stat="p95"))]),
        search_graph(names, "Requests", m.REQUESTS),
        search_graph(names, "Latency in the functions, 95 of 100 (ms)", m.LATENCY, stat="p95"),
        search_graph(names, "Answers of 400 to 499", m.CLIENT_ERRORS),
        search_graph(names, "Responses with status 500 or above", m.SERVER_ERRORS),
        _functions(names, "Errors", subjects.functions),
        _functions(names, "Throttles", subjects.functions),
        _functions(names, "Duration", subjects.functions, stat="p95"),
        search_graph(names, "Cold starts", m.COLD_STARTS),
        _queues(names, "ApproximateAgeOfOldestMessage", subjects.queues),
        search_graph(names, "Age of messages when handled (ms)", m.QUEUE_AGE, stat="Maximum"),
        _queues(names, "ApproximateNumberOfMessagesVisible", subjects.dead_letters),
        search_graph(names, "Messages, failures and new dead letters", m.MESSAGES, m.FAILED_MESSAGES, m.DEAD_LETTERS),
        search_graph(names, "Events published, and found late in the outbox", m.EVENTS_PUBLISHED, m.OUTBOX_LATE),
        search_graph(names, "Age of events when published (ms)", m.OUTBOX_AGE, stat="Maximum"),
        _of(names, "Publisher behind the streams (ms)", "AWS/Lambda", "IteratorAge", "FunctionName", [names.publisher]),
        search_graph(names, "Runs waiting for a worker, 95 of 100 (ms)", m.QUEUE_WAIT, stat="p95"),
        search_graph(names, "Failed webhooks", m.WEBHOOK_FAILURES),
        search_graph(names, "Usage waiting for Stripe (s)", m.SYNC_LAG, stat="Maximum"),
        search_graph(
            names,
            "Requests that Stripe cannot serve, second subscriptions, disputes",
            m.BILLING_FAILING,
            m.DUPLICATE_SUBSCRIPTIONS,
            m.DISPUTES,
        ),
        search_graph(names, "Drift", m.DRIFT),
        search_graph(names, "Usage quarantined", m.UNCOUNTED_USAGE),
        search_graph(names, "Failed and quarantined entries of sweeps", m.SWEEP_FAILURES, m.QUARANTINED),
        search_graph(names, "Due entries that a sweep did not reach", m.SWEEP_BACKLOG, stat="Maximum"),
        _tables(names, "Reads turned away", "ReadThrottleEvents"),
        _tables(names, "Writes turned away", "WriteThrottleEvents"),
    ]


def business(names: Names, subjects: Subjects) -> list[Widget]:
    """Return the graphs of usage, costs and revenue."""
    return [
        search_graph(names, "Active tenants", m.ACTIVE_TENANTS, stat="Maximum"),
        search_graph(names, "Monthly recurring revenue (cents)", m.MRR, stat="Maximum"),
        search_graph(names, "Runs by final status", m.RUNS_ENDED),
        search_graph(names, "Runs, from request to end, 95 of 100 (ms)", m.RUN_DURATION, stat="p95"),
        search_graph(names, "Tokens", m.TOKENS_IN, m.TOKENS_OUT),
        search_graph(names, "Cost at list prices (10⁻⁹ USD)", m.COST),
        search_graph(names, "Failed calls to providers", m.FAILED_CALLS),
        search_graph(names, "Calls to providers, 95 of 100 (ms)", m.CALL_DURATION, stat="p95"),
        search_graph(names, "Calls without a price", m.UNPRICED_CALLS),
        search_graph(names, "Runs refused by a budget", m.BUDGET_REFUSALS),
        _functions(names, "Invocations", subjects.http),
        _of(names, "Events by consumer", "AWS/Events", "MatchedEvents", "RuleName", subjects.queues),
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
    """Return a graph of one metric of AWS, with a line for each resource."""
    return graph(names, title, [line(MetricSource(namespace, metric, {dimension: one}, stat)) for one in things])
