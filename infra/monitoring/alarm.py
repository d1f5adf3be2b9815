"""The alarms of a mesh: the metric, the threshold and the runbook section of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypedDict

from infra.monitoring.source import MetricSource, own
from infra.names import Names
from shared.declaration import Function, Service, Table
from shared.metrics import (
    BILLING_FAILING,
    DRIFT,
    DUPLICATE_SUBSCRIPTIONS,
    LATENCY,
    OUTBOX_LATE,
    QUARANTINED,
    SYNC_LAG,
    UNCOUNTED_USAGE,
    UNPRICED_CALLS,
    WEBHOOK_FAILURES,
    Class,
    Metric,
)

RUNBOOK = "docs/guides/incidents.md"
MINUTE_S = 60
HOUR_S = 3600


class _Settings(TypedDict, total=False):
    """The settings of an alarm that differ from the defaults."""

    threshold: float
    minutes: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. By default, one occurrence in five minutes raises it."""

    name: str
    kind: str
    """The section of the runbook. Alarms of one kind differ only in their metric."""
    summary: str
    source: MetricSource
    threshold: float = 0
    minutes: int = 5
    periods: int = 1
    """The number of successive periods above the threshold."""
    alarm_on_missing_data: bool = False
    """Missing data raises the alarm, too."""

    def description(self, base: str) -> str:
        """Return the text of the notification.

        Args:
            base: the URL of this repository with a trailing slash; if it is empty, the text contains only the path.
        """
        return f"{self.summary} Runbook: {base}{RUNBOOK}#{self.kind}"


def alarms_of(names: Names, services: Iterable[Service]) -> list[Alarm]:
    """Return all alarms of a mesh."""
    found = [*_of_core(names)]
    for service in services:
        found += _of_service(names, service)
    return found


def _of_core(names: Names) -> Iterator[Alarm]:
    api = {"ApiName": names.api, "Stage": names.environment}
    yield Alarm(
        names.of("api-answers"),
        "api-errors",
        "The API returns status 500 or above.",
        MetricSource("AWS/ApiGateway", "5XXError", api),
        threshold=5,
    )
    yield Alarm(
        names.of("outbox"),
        "outbox",
        "Events wait in the outbox, or the sweep does not run.",
        MetricSource.of(OUTBOX_LATE, own(names, "core"), stat="Maximum"),
        minutes=1,
        periods=5,
        alarm_on_missing_data=True,
    )
    yield Alarm(
        names.of("iterator-age"),
        "iterator-age",
        "The publisher is behind the tables' streams by more than a minute.",
        MetricSource("AWS/Lambda", "IteratorAge", {"FunctionName": names.publisher}, stat="Maximum"),
        threshold=MINUTE_S * 1000,
    )
    yield _dead_letters(names, names.publisher)
    for function in (names.api, names.authorizer, names.publisher):
        yield from (_errors(function), _throttles(function))
    for table in Table:
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
            name = names.table(table)
            yield Alarm(
                f"{name}-{metric.partition('Throttle')[0].lower()}-throttles",
                "table-throttles",
                f"DynamoDB throttles requests to {name}.",
                MetricSource("AWS/DynamoDB", metric, {"TableName": name}),
                threshold=10,
            )


def _of_service(names: Names, service: Service) -> Iterator[Alarm]:
    kinds = set(service.alarms)
    for function in service.functions:
        for alarm in _of_function(names, service, function):
            if alarm.kind in kinds:
                yield alarm
    for kind in service.alarms:
        if kind in _OF_BUSINESS:
            text, metric, stat, settings = _OF_BUSINESS[kind]
            source = MetricSource.of(metric, own(names, service.name), stat=stat)
            yield Alarm(names.of(service.name, kind), kind, text, source, **settings)
        if kind == "latency":
            yield from _latency(names, service)


def _of_function(names: Names, service: Service, function: Function) -> Iterator[Alarm]:
    name = names.function(service, function)
    yield _errors(name)
    yield _throttles(name)
    for queue in names.queues(service, function):
        yield _dead_letters(names, queue)
        yield Alarm(
            f"{queue}-queue-age",
            "queue-age",
            f"A message in {queue} has waited for more than ten minutes.",
            MetricSource("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": queue}, stat="Maximum"),
            threshold=10 * MINUTE_S,
        )


def _latency(names: Names, service: Service) -> Iterator[Alarm]:
    methods = {route.method for route in service.routes}
    classes = {Class.READ: "GET" in methods, Class.CHANGE: bool(methods - {"GET"})}
    for route_class, is_there in classes.items():
        if is_there:
            yield Alarm(
                names.of(service.name, route_class.value, "latency"),
                "latency",
                f"One in twenty requests to {service.name} ({route_class.value}) takes more than two seconds.",
                MetricSource.of(LATENCY, own(names, service.name, route_class=route_class.value), stat="p95"),
                threshold=2000,
                periods=3,
            )


def _errors(function: str) -> Alarm:
    source = MetricSource("AWS/Lambda", "Errors", {"FunctionName": function})
    return Alarm(f"{function}-errors", "errors", f"{function} raised an exception or was killed.", source)


def _throttles(function: str) -> Alarm:
    source = MetricSource("AWS/Lambda", "Throttles", {"FunctionName": function})
    return Alarm(f"{function}-throttles", "throttles", f"{function} was throttled.", source, periods=3)


def _dead_letters(names: Names, queue: str) -> Alarm:
    letters = names.dead_letters(queue)
    visible = MetricSource("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": letters}, stat="Maximum")
    return Alarm(letters, "dead-letters", f"There are messages in {letters}.", visible)


_OF_BUSINESS: dict[str, tuple[str, Metric, str, _Settings]] = {
    "sync-lag": (
        "Usage has been waiting for Stripe for more than six hours.",
        SYNC_LAG,
        "Maximum",
        {"threshold": 6 * HOUR_S, "minutes": 15},
    ),
    "billing-failing": (
        "Stripe does not accept the API key, or lacks a meter or price of ours.",
        BILLING_FAILING,
        "Sum",
        {"minutes": 15},
    ),
    "duplicate-subscriptions": (
        "A tenant has a second subscription at Stripe.",
        DUPLICATE_SUBSCRIPTIONS,
        "Sum",
        {"minutes": 60},
    ),
    "webhook-failures": (
        "Webhooks of Stripe are refused or cannot be handled.",
        WEBHOOK_FAILURES,
        "Sum",
        {"threshold": 3, "minutes": 15},
    ),
    "drift": ("Reconciliation found a difference between two records.", DRIFT, "Sum", {"minutes": 60}),
    "quarantine": (
        "A sweep quarantined an entry that failed five times in a row.",
        QUARANTINED,
        "Sum",
        {"minutes": 15},
    ),
    "uncounted-usage": ("Usage is quarantined instead of counted.", UNCOUNTED_USAGE, "Sum", {"minutes": 15}),
    "unpriced-calls": ("Calls to a model without a known price.", UNPRICED_CALLS, "Sum", {"minutes": 15}),
}
"""Alarms on one metric of a whole service."""
