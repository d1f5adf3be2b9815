"""The checks of a mesh; each gives advice on the problems it finds."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cli.api import ApiRequest, send
from cli.dead_letter import describe, list_queues
from cli.reconciliation.comparison import Reconciliation, list_tenants_by_usage
from cli.target import Target
from infra.local import health
from infra.local.engine import State
from infra.local.paths import wanted_port
from infra.local.stacks import stacks_of
from infra.local.warmth import functions_of, invoke_without_work
from infra.names import DUE_INDEX, SECRETS
from infra.services import SERVICES
from shared.times import from_text, to_text, utc_now

_QUEUE_INTERVAL_S = 3
_RECONCILIATION_LIMIT_S = 20
"""The time after which no further tenant is reconciled; `ainexus reconcile` has no limit."""
_OUTBOX_MAX_AGE = timedelta(seconds=60)
"""The stream publishes an event within a second; a sweep publishes missed events every minute."""
_MAX_CLOCK_SKEW = timedelta(minutes=5)
"""AWS refuses signatures with a larger one."""
_STACKS = ("core", "edge", "monitoring", *(service.name for service in SERVICES))


class Level(StrEnum):
    """The severity of a result."""

    OK = "ok"
    NOTE = "note"
    """Unusual, but nothing is broken."""
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A result of a check, with advice if it is a problem."""

    level: Level
    message: str
    advice: str = ""


Check = Callable[[Target], Iterator[CheckResult]]


def _ok(message: str) -> CheckResult:
    return CheckResult(Level.OK, message)


def _trouble(message: str, advice: str) -> CheckResult:
    return CheckResult(Level.TROUBLE, message, advice)


def engine(target: Target) -> Iterator[CheckResult]:
    """Check that the local engine runs in the version of this checkout."""
    if not target.is_local:
        return
    found = target.mesh.engine.status()
    port = wanted_port(target.environ) or found.port
    match found.state:
        case State.RUNNING:
            yield from _check_version(target, found.version)
        case State.UNRESPONSIVE:
            yield _trouble(f"The engine (pid {found.pid}) runs but does not respond.", "./ainexus down, ./ainexus up")
        case State.DIED:
            log = target.mesh.home.engine_log
            yield _trouble("The engine has ended without being stopped.", f"tail {log}; ./ainexus up")
        case State.STOPPED if not health.is_free(port):
            yield _trouble(f"Another program listens on port {port}.", "stop it, or AINEXUS_PORT=4577 ./ainexus up")
        case State.STOPPED:
            yield _trouble("The engine does not run.", "./ainexus up")


def _check_version(target: Target, running: str | None) -> Iterator[CheckResult]:
    required = target.mesh.home.engine_version
    if running == required:
        yield _ok(f"engine {running} runs")
    else:
        yield _trouble(f"The engine is {running}, but this checkout needs {required}.", "./ainexus down, make up")


def stacks(target: Target) -> Iterator[CheckResult]:
    """Check that every stack is deployed completely."""
    found = {stack.name: stack for stack in stacks_of(target.clients.cloudformation, target.environment)}
    names = [target.names.stack(part) for part in _STACKS]
    missing = [name for name in names if name not in found]
    partial = [f"{stack.name} ({stack.status})" for stack in found.values() if not stack.is_complete]
    if missing or partial:
        message = f"Not deployed, or only in part: {', '.join([*missing, *partial])}."
        yield _trouble(message, _deploy_command(target))
    else:
        yield _ok(f"{len(names)} stacks are deployed")


def checkout(target: Target) -> Iterator[CheckResult]:
    """Check that the deployed code is the code of this checkout."""
    if not target.is_local:
        return
    if target.mesh.is_current():
        yield _ok("the deployed code is the code of this checkout")
    else:
        yield _trouble("The deployed code is older than this checkout.", "./ainexus up")


def secrets(target: Target) -> Iterator[CheckResult]:
    """Check that every secret exists; an empty one is only a note."""
    client = target.clients.secrets
    for secret in SECRETS:
        name = target.names.secret(secret)
        try:
            value = client.get_secret_value(SecretId=name).get("SecretString", "{}")
        except client.exceptions.ResourceNotFoundException:
            yield _trouble(f"The secret {name} is missing.", _deploy_command(target))
            continue
        if value == "{}":
            kind = secret.partition("/")[0]
            advice = f"./ainexus secrets set {kind} --env {target.environment}"
            yield CheckResult(Level.NOTE, f"The secret {name} is empty.", advice)
        else:
            yield _ok(f"the secret {name} is set")


def functions(target: Target) -> Iterator[CheckResult]:
    """Check that every function starts and responds."""
    names = functions_of(target.clients.functions, target.environment)
    failed = {name: error for name in names if (error := invoke_without_work(target.clients.functions, name))}
    for name, error in failed.items():
        yield _trouble(f"{name} cannot start: {error}", f"./ainexus logs {name.split('-')[2]}")
    if not failed:
        yield _ok(f"{len(names)} functions start")


def queues(target: Target) -> Iterator[CheckResult]:
    """Check that the messages of every queue are consumed."""
    before = _count_queued(target)
    if any(before.values()):
        time.sleep(_QUEUE_INTERVAL_S)
    after = _count_queued(target) if any(before.values()) else before
    stuck = {name: count for name, count in after.items() if count and count >= before.get(name, 0) > 0}
    for name, count in stuck.items():
        service = name.split("-")[2]
        yield _trouble(f"The {count} messages in {name} are not consumed.", f"./ainexus logs {service} --follow")
    if not stuck:
        yield _ok(f"{len(after)} queues are consumed")


def dead_letters(target: Target) -> Iterator[CheckResult]:
    """Check that there are no dead letters."""
    described = [describe(target.clients.sqs, queue) for queue in list_queues(target.clients.sqs, target.environment)]
    counts: dict[str, int] = {one["queue"]: one["messages"] for one in described if one["messages"]}
    for name, count in counts.items():
        advice = f"./ainexus dead-letters show {name}; after the fix: ./ainexus dead-letters redrive {name}"
        yield _trouble(f"{count} dead letters in {name}.", advice)
    if not counts:
        yield _ok("there are no dead letters")


def outboxes(target: Target) -> Iterator[CheckResult]:
    """Check that every event is published within a minute."""
    until = to_text(utc_now() - _OUTBOX_MAX_AGE)
    late = [service.name for service in SERVICES if _has_late_events(target, service.name, until)]
    if late:
        advice = f"./ainexus logs core --follow; check that {target.names.publisher} runs"
        yield _trouble(f"Events wait in the outbox for more than a minute: {', '.join(late)}.", advice)
    else:
        yield _ok("no event waits in an outbox for more than a minute")


def clock(target: Target) -> Iterator[CheckResult]:
    """Check that this machine and the mesh agree on the time."""
    try:
        response = send(ApiRequest("GET", f"{target.outputs['ApiEndpoint']}/v1/health"))
        theirs = from_text(response.body["timestamp"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        yield _trouble(f"The API does not return its time: {error}.", "./ainexus status")
        return
    yield compare_clocks(utc_now(), theirs)


def drift(target: Target) -> Iterator[CheckResult]:
    """Check that runs, ledger, counters, budgets, billing and Stripe agree on the usage of each tenant."""
    tenants, until, compared = list_tenants_by_usage(target), time.monotonic() + _RECONCILIATION_LIMIT_S, 0
    for tenant_id in tenants:
        if differences := Reconciliation.of(target, tenant_id).compare().drift:
            places = ", ".join(sorted({one.place for one in differences}))
            command = f"./ainexus reconcile --tenant {tenant_id}"
            yield _trouble(f"The usage of {tenant_id} has drift in: {places}.", f"{command}; then add --repair")
        compared += 1
        if time.monotonic() > until:
            break
    if compared < len(tenants):
        yield CheckResult(Level.NOTE, f"{compared} of {len(tenants)} tenants were reconciled", "./ainexus reconcile")
    else:
        yield _ok(f"the usage of {compared} tenants was reconciled")


def compare_clocks(ours: datetime, theirs: datetime) -> CheckResult:
    """Return whether two clocks agree well enough for signatures and tokens."""
    skew = ours - theirs
    if abs(skew) < _MAX_CLOCK_SKEW:
        return _ok("the clocks agree")
    direction = "ahead of" if skew > timedelta() else "behind"
    minutes = abs(skew) // timedelta(minutes=1)
    return _trouble(f"This machine's clock is {minutes} min {direction} the mesh's.", "set it, for example by NTP")


PREREQUISITES: dict[str, Check] = {"engine": engine, "stacks": stacks}
"""Without these, no other check can run."""
CHECKS: dict[str, Check] = {
    "checkout": checkout,
    "secrets": secrets,
    "functions": functions,
    "queues": queues,
    "dead letters": dead_letters,
    "outboxes": outboxes,
    "clock": clock,
    "drift": drift,
}


def _deploy_command(target: Target) -> str:
    return "./ainexus up" if target.is_local else f"./ainexus deploy --env {target.environment}"


def _count_queued(target: Target) -> dict[str, int]:
    """Return the number of messages in each queue that feeds a function."""
    fed = [(service, function) for service in SERVICES for function in service.functions if function.subscriptions]
    names = [name for pair in fed for name in target.names.queues(*pair)]
    sqs = target.clients.sqs
    return {name: _count_messages(target, sqs.get_queue_url(QueueName=name)["QueueUrl"]) for name in names}


def _count_messages(target: Target, url: str) -> int:
    name = "ApproximateNumberOfMessages"
    found = target.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return int(found.get("Attributes", {}).get(name, "0"))


def _has_late_events(target: Target, service: str, until: str) -> bool:
    owned = next(one.slice for one in SERVICES if one.name == service)
    found = target.clients.dynamodb.query(
        TableName=target.names.table(owned.table),
        IndexName=DUE_INDEX,
        KeyConditionExpression="due_pk = :pk AND due_sk < :until",
        ExpressionAttributeValues={":pk": {"S": owned.due_key("OUTBOX")}, ":until": {"S": until}},
        Limit=1,
    )
    return bool(found["Items"])
