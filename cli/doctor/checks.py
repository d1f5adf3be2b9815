"""What can be wrong with a mesh, each looked for by a check of its own that also says what to do."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cli.api import Request, send
from cli.dead_letter import queues_of
from cli.reconciliation.comparison import Reconciliation, tenants_with_books
from cli.target import Target
from infra.local import health
from infra.local.engine import State
from infra.local.paths import wanted_port
from infra.local.stacks import stacks_of
from infra.local.warmth import functions_of, start
from infra.names import DUE_INDEX, SECRETS
from infra.services import SERVICES
from shared.times import from_text, to_text, utc_now

_LOOKS_APART_S = 3
_RECOUNTS_S = 20
"""So long the doctor recounts; `reconcile` takes the time that it needs."""
_OUTBOX_PATIENCE = timedelta(seconds=60)
"""The stream publishes within a second; the sweep, every minute, what it has missed."""
_CLOCK_MAY_BE_OFF = timedelta(minutes=5)
"""From here on AWS refuses signatures."""
_PARTS = ("core", "edge", "monitoring", *(service.name for service in SERVICES))


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Nothing is broken, but somebody may wonder."""
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found."""

    level: Level
    says: str
    advice: str = ""


Check = Callable[[Target], Iterator[Finding]]


def _ok(says: str) -> Finding:
    """Nothing is wrong."""
    return Finding(Level.OK, says)


def _trouble(says: str, advice: str) -> Finding:
    """Something is wrong, and this is what to do."""
    return Finding(Level.TROUBLE, says, advice)


def engine(target: Target) -> Iterator[Finding]:
    """The local engine runs, and is the one that this checkout asks for."""
    if not target.is_local:
        return
    found = target.mesh.engine.status()
    port = wanted_port(target.environ) or found.port
    match found.state:
        case State.RUNNING:
            yield from _version(target, found.version)
        case State.SILENT:
            yield _trouble(f"The engine (pid {found.pid}) runs and does not answer.", "./ainexus down, ./ainexus up")
        case State.DIED:
            log = target.mesh.home.engine_log
            yield _trouble("The engine has ended without being stopped.", f"tail {log}; ./ainexus up")
        case State.STOPPED if not health.is_free(port):
            yield _trouble(f"Another program listens on port {port}.", "end it, or AINEXUS_PORT=4577 ./ainexus up")
        case State.STOPPED:
            yield _trouble("The engine does not run.", "./ainexus up")


def _version(target: Target, runs: str | None) -> Iterator[Finding]:
    wanted = target.mesh.home.engine_version
    if runs == wanted:
        yield _ok(f"engine {runs} runs")
    else:
        yield _trouble(f"The engine is {runs}, this checkout asks for {wanted}.", "./ainexus down, make up")


def stacks(target: Target) -> Iterator[Finding]:
    """Every stack is there, whole."""
    found = {stack.name: stack for stack in stacks_of(target.clients.cloudformation, target.environment)}
    names = [target.names.stack(part) for part in _PARTS]
    missing = [name for name in names if name not in found]
    partial = [f"{stack.name} ({stack.status})" for stack in found.values() if not stack.is_complete]
    if missing or partial:
        yield _trouble(f"Not deployed, or half: {', '.join([*missing, *partial])}.", _deploying(target))
    else:
        yield _ok(f"{len(names)} stacks are there")


def checkout(target: Target) -> Iterator[Finding]:
    """What is deployed is what lies here."""
    if not target.is_local:
        return
    if target.mesh.is_current():
        yield _ok("the code that runs is the code of this checkout")
    else:
        yield _trouble("The code that runs is older than this checkout.", "./ainexus up")


def secrets(target: Target) -> Iterator[Finding]:
    """Every secret is there; one that holds nothing is only noted."""
    client = target.clients.secrets
    for secret in SECRETS:
        name = target.names.secret(secret)
        try:
            value = client.get_secret_value(SecretId=name).get("SecretString", "{}")
        except client.exceptions.ResourceNotFoundException:
            yield _trouble(f"The secret {name} is missing.", _deploying(target))
            continue
        if value == "{}":
            kind = secret.partition("/")[0]
            advice = f"./ainexus secrets set {kind} --env {target.environment}"
            yield Finding(Level.NOTE, f"The secret {name} holds nothing yet.", advice)
        else:
            yield _ok(f"the secret {name} is set")


def functions(target: Target) -> Iterator[Finding]:
    """Every function starts and answers."""
    names = functions_of(target.clients.functions, target.environment)
    failed = {name: said for name in names if (said := start(target.clients.functions, name))}
    for name, said in failed.items():
        yield _trouble(f"{name} cannot start: {said}", f"./ainexus logs {name.split('-')[2]}")
    if not failed:
        yield _ok(f"{len(names)} functions start")


def queues(target: Target) -> Iterator[Finding]:
    """No queue has messages that nobody takes."""
    before = _waiting(target)
    if any(before.values()):
        time.sleep(_LOOKS_APART_S)
    after = _waiting(target) if any(before.values()) else before
    stuck = {name: count for name, count in after.items() if count and count >= before.get(name, 0) > 0}
    for name, count in stuck.items():
        service = name.split("-")[2]
        yield _trouble(f"{count} messages wait in {name} and get no fewer.", f"./ainexus logs {service} --follow")
    if not stuck:
        yield _ok(f"{len(after)} queues move")


def dead_letters(target: Target) -> Iterator[Finding]:
    """Nothing lies in dead letters."""
    counts = {queue.name: _count(target, queue.url) for queue in queues_of(target.clients.sqs, target.environment)}
    for name, count in counts.items():
        if count:
            advice = f"./ainexus dead-letters show {name}; when it is mended: ./ainexus dead-letters redrive {name}"
            yield _trouble(f"{count} dead letters in {name}.", advice)
    if not any(counts.values()):
        yield _ok("there are no dead letters")


def outboxes(target: Target) -> Iterator[Finding]:
    """Every event that was written is on the bus soon after."""
    until = to_text(utc_now() - _OUTBOX_PATIENCE)
    late = [service.name for service in SERVICES if _has_late_events(target, service.name, until)]
    if late:
        advice = f"./ainexus logs core --follow; does {target.names.publisher} run?"
        yield _trouble(f"Events wait in the outbox for more than a minute: {', '.join(late)}.", advice)
    else:
        yield _ok("the outboxes are empty or move")


def clock(target: Target) -> Iterator[Finding]:
    """This machine and the mesh agree on the time."""
    try:
        answer = send(Request("GET", f"{target.outputs['ApiEndpoint']}/v1/health"))
        theirs = from_text(answer.body["timestamp"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        yield _trouble(f"The API does not say what time it is: {error}.", "./ainexus status")
        return
    yield compare_clocks(utc_now(), theirs)


def drift(target: Target) -> Iterator[Finding]:
    """Runs, ledger, counters, budgets, billing and Stripe say the same of what was used."""
    tenants, until, looked = tenants_with_books(target), time.monotonic() + _RECOUNTS_S, 0
    for tenant_id in tenants:
        if found := Reconciliation.of(target, tenant_id).look_twice().drift:
            places = ", ".join(sorted({one.place for one in found}))
            again = f"./ainexus reconcile --tenant {tenant_id}; to put it right: --repair"
            yield _trouble(f"The books of {tenant_id} differ: {places}.", again)
        looked += 1
        if time.monotonic() > until:
            break
    if looked < len(tenants):
        yield Finding(Level.NOTE, f"{looked} of {len(tenants)} tenants were recounted", "./ainexus reconcile")
    else:
        yield _ok(f"what was used is said alike of all {looked} tenants")


def compare_clocks(ours: datetime, theirs: datetime) -> Finding:
    """Whether two clocks agree well enough for signatures and tokens."""
    off = ours - theirs
    if abs(off) < _CLOCK_MAY_BE_OFF:
        return _ok("the clocks agree")
    way = "ahead of" if off > timedelta() else "behind"
    minutes = abs(off) // timedelta(minutes=1)
    return _trouble(f"This machine's clock is {minutes} min {way} the mesh's.", "set it, for example by NTP")


GROUNDS: dict[str, Check] = {"engine": engine, "stacks": stacks}
"""Without these, nothing else can be looked at."""
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


def _deploying(target: Target) -> str:
    return "./ainexus up" if target.is_local else f"./ainexus deploy --env {target.environment}"


def _waiting(target: Target) -> dict[str, int]:
    """How many messages wait in each queue that feeds a function."""
    fed = [(service, function) for service in SERVICES for function in service.functions if function.subscriptions]
    names = [target.names.function(service, function) for service, function in fed]
    sqs = target.clients.sqs
    return {name: _count(target, sqs.get_queue_url(QueueName=name)["QueueUrl"]) for name in names}


def _count(target: Target, url: str) -> int:
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
