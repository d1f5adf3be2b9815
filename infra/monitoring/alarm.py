"""The alarms of a mesh: what each watches, when it calls, and where the runbook says what to do."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypedDict

from infra.monitoring.source import Source, own
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
    """What an alarm has otherwise than the defaults say."""

    above: float
    minutes: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm; the defaults are those of a thing that must not happen at all."""

    name: str
    kind: str
    """The section of the runbook; alarms of one kind differ only in what they watch."""
    says: str
    source: Source
    above: float = 0
    minutes: int = 5
    times: int = 1
    """In so many periods, one after the other."""
    silence_is_bad: bool = False
    """No data is a reason to call, too."""

    def description(self, base: str) -> str:
        """What somebody reads who was woken.

        Args:
            base: where this repository can be read, with a slash at its end; empty: it says the path alone.
        """
        return f"{self.says} Runbook: {base}{RUNBOOK}#{self.kind}"


def alarms_of(names: Names, services: Iterable[Service]) -> list[Alarm]:
    """All alarms of a mesh."""
    found = [*_of_core(names)]
    for service in services:
        found += _of_service(names, service)
    return found


def _of_core(names: Names) -> Iterator[Alarm]:
    api = {"ApiName": names.api, "Stage": names.environment}
    yield Alarm(
        names.of("api-answers"),
        "api-errors",
        "The API answers with 500 and above.",
        Source("AWS/ApiGateway", "5XXError", api),
        above=5,
    )
    yield Alarm(
        names.of("outbox"),
        "outbox",
        "Events lie in the outbox, or nobody sweeps it.",
        Source.of(OUTBOX_LATE, own(names, "core"), stat="Maximum"),
        minutes=1,
        times=5,
        silence_is_bad=True,
    )
    yield Alarm(
        names.of("iterator-age"),
        "iterator-age",
        "The publisher is behind the tables' streams by more than a minute.",
        Source("AWS/Lambda", "IteratorAge", {"FunctionName": names.publisher}, stat="Maximum"),
        above=MINUTE_S * 1000,
    )
    yield _dead_letters(names, names.publisher)
    for function in (names.api, names.publisher):
        yield from (_errors(function), _throttles(function))
    for table in Table:
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
            name = names.table(table)
            yield Alarm(
                f"{name}-{metric.partition('Throttle')[0].lower()}-throttles",
                "table-throttles",
                f"DynamoDB turns requests to {name} away.",
                Source("AWS/DynamoDB", metric, {"TableName": name}),
                above=10,
            )


def _of_service(names: Names, service: Service) -> Iterator[Alarm]:
    asked = set(service.alarms)
    for function in service.functions:
        for alarm in _of_function(names, service, function):
            if alarm.kind in asked:
                yield alarm
    for kind in service.alarms:
        if kind in _OF_BUSINESS:
            says, metric, stat, settings = _OF_BUSINESS[kind]
            source = Source.of(metric, own(names, service.name), stat=stat)
            yield Alarm(names.of(service.name, kind), kind, says, source, **settings)
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
            Source("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": queue}, stat="Maximum"),
            above=10 * MINUTE_S,
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
                Source.of(LATENCY, own(names, service.name, route_class=route_class.value), stat="p95"),
                above=2000,
                times=3,
            )


def _errors(function: str) -> Alarm:
    source = Source("AWS/Lambda", "Errors", {"FunctionName": function})
    return Alarm(f"{function}-errors", "errors", f"{function} raised, or was killed.", source)


def _throttles(function: str) -> Alarm:
    source = Source("AWS/Lambda", "Throttles", {"FunctionName": function})
    return Alarm(f"{function}-throttles", "throttles", f"{function} was not allowed to run.", source, times=3)


def _dead_letters(names: Names, queue: str) -> Alarm:
    letters = names.dead_letters(queue)
    visible = Source("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": letters}, stat="Maximum")
    return Alarm(letters, "dead-letters", f"Something lies in {letters}.", visible)


_OF_BUSINESS: dict[str, tuple[str, Metric, str, _Settings]] = {
    "sync-lag": (
        "Usage has been waiting for Stripe for more than six hours.",
        SYNC_LAG,
        "Maximum",
        {"above": 6 * HOUR_S, "minutes": 15},
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
        {"above": 3, "minutes": 15},
    ),
    "drift": ("Two books say different things.", DRIFT, "Sum", {"minutes": 60}),
    "quarantine": (
        "A scheduled loop took out an entry that failed too often.",
        QUARANTINED,
        "Sum",
        {"minutes": 15},
    ),
    "uncounted-usage": ("Usage is kept aside instead of counted.", UNCOUNTED_USAGE, "Sum", {"minutes": 15}),
    "unpriced-calls": ("Calls to a model whose price is not known.", UNPRICED_CALLS, "Sum", {"minutes": 15}),
}
"""Alarms on one metric of a service as a whole."""
