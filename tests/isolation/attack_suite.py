"""Execution of the attack suite: all attacks of two tenants on each other, and their positive controls."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import time_machine

from cli.api import ApiResponse
from shared.times import utc_now
from tests.isolation import recipes
from tests.isolation.attacks import Attack, ControlKind, attacks_on
from tests.isolation.operation import Operation
from tests.isolation.request import ApiAccess, Request
from tests.isolation.tenant_fixture import OwnerRequestFailed, TenantFixture

TENANTS = ("acme", "acme2")
"""One id is a prefix of the other."""
_PRESIGNED = re.compile(r"https?://[^\s\"']+X-Amz-Signature[^\s\"']+")

_MAX_VERSION_READS, _PAUSE_S = 10, 0.2
"""Events of the tenant's own earlier requests still change its resources while the controls run."""


@dataclass
class Report:
    """The results of the attacks and of their positive controls."""

    attempts: Counter[str] = field(default_factory=Counter[str])
    """The number of attacks by family."""
    breaches: list[str] = field(default_factory=list[str])
    controls: int = 0
    """The number of positive controls."""
    failures: list[str] = field(default_factory=list[str])
    """Positive controls that failed."""
    attacked: set[str] = field(default_factory=set[str])
    """The names of the attacked operations."""

    def __str__(self) -> str:
        total = sum(self.attempts.values())
        rows = (f"  {family:38} {number:6}" for family, number in sorted(self.attempts.items()))
        head = (
            f"{total - len(self.breaches)} of {total} attacks on {len(self.attacked)} operations blocked; "
            f"{self.controls - len(self.failures)} of {self.controls} positive controls succeeded"
        )
        return "\n".join([head, *rows])


def create_fixtures(api: ApiAccess, operations: Sequence[Operation], *tenants: str, canary: str) -> list[TenantFixture]:
    """Create every kind of resource in these tenants and return the fixtures."""
    fixtures = [TenantFixture(api, operations, tenant_id, f"{canary}-{tenant_id}-canary") for tenant_id in tenants]
    for fixture in fixtures:
        fixture.create_all(recipes.creators(fixture))
        recipes.create_by_recipe(fixture)
        recipes.prepare_requests(fixture)
        fixture.find_cursors()
    return fixtures


def ten_minutes_ago() -> AbstractContextManager[object]:
    """Set the clock back, so that resources made now are old later and the API does not wait for their events."""
    return time_machine.travel(utc_now() - timedelta(minutes=10))


def run_attacks(
    report: Report,
    *,
    victim: TenantFixture,
    attacker: TenantFixture,
    max_per_family: int | None = None,
    selected: Callable[[Attack], bool] = lambda _: True,
) -> None:
    """Execute the attacks on every operation.

    Args:
        report: the report to which the results are added.
        victim: the attacked tenant.
        attacker: the attacking tenant.
        max_per_family: the maximum number of attacks of each family on each operation, which differ by operation. None
            means all.
        selected: the filter of attacks.
    """
    for index, operation in enumerate(victim.operations):
        selection = [attack for attack in attacks_on(operation, victim=victim, attacker=attacker) if selected(attack)]
        for attack in selection if max_per_family is None else _sample(selection, max_per_family, start=index):
            report.attempts[attack.kind] += 1
            report.attacked.add(operation.name)
            problem = _problem(attack, victim)
            if problem:
                report.breaches.append(f"{attack.name}: {problem}")


def _sample(selection: Sequence[Attack], max_per_family: int, *, start: int) -> Iterator[Attack]:
    """Yield at most `max_per_family` attacks of each family, beginning with the one at `start`."""
    for kind in {attack.kind: None for attack in selection}:
        family = [attack for attack in selection if attack.kind == kind]
        step = max(1, len(family) // max_per_family)
        yield from [family[(start + number * step) % len(family)] for number in range(min(max_per_family, len(family)))]


def _problem(attack: Attack, victim: TenantFixture) -> str | None:
    """Execute an attack and return the problem of its response, or None."""
    response = victim.api.send(attack.request)
    if response.status not in attack.expected:
        return f"returned {response.status}"
    own_tenant = attack.request.caller and attack.request.caller.tenant_id == victim.tenant_id
    leaked = None if own_tenant else victim.data_pattern.search(response_text(response))
    if leaked:
        return f"contains {leaked[0]}"
    if not attack.allows_replay and "Idempotent-Replayed" in response.headers:
        return "replays the response of another user"
    if attack.missing_counterpart and _payload(response) != _payload(victim.api.send(attack.missing_counterpart)):
        return "differs from the response for a missing resource"
    return None


def response_text(response: ApiResponse) -> str:
    """Return a response's body and headers as text."""
    return f"{json.dumps(response.body, ensure_ascii=False)} {dict(response.headers)}"


def _payload(response: ApiResponse) -> tuple[int, str]:
    """Return a response without the request id, which differs each time."""
    payload: dict[str, Any] = response.body or {}
    return response.status, json.dumps({name: value for name, value in payload.items() if name != "requestId"})


def run_controls(report: Report, owner: TenantFixture) -> None:
    """Execute the positive controls of all attacks on this tenant."""
    for operation in sorted(owner.operations, key=recipes.control_order):
        for control in controls_of(operation, owner):
            report.controls += 1
            try:
                problem = _failure(control, operation, owner)
            except OwnerRequestFailed as error:
                problem = str(error)
            if problem:
                report.failures.append(f"{control} of {operation.name}: {problem}")


def controls_of(operation: Operation, owner: TenantFixture) -> Iterator[ControlKind]:
    """Yield the kinds of positive control of an operation."""
    if operation.min_role is None:
        return
    yield ControlKind.PLAIN
    if operation.name in owner.cursors:
        yield ControlKind.CURSOR
    if operation.name in owner.keyed_requests:
        yield ControlKind.KEY
    if operation.accepts_version:
        yield ControlKind.VERSION


def _with_version(request: Request, owner: TenantFixture) -> ApiResponse:
    """Send a change with the current version. Retry if an event has changed the resource in between."""
    for _ in range(_MAX_VERSION_READS - 1):
        try:
            return owner.send(request.with_headers(If_Match=_version(request, owner)))
        except OwnerRequestFailed as failed:
            if failed.status != 412:
                raise
        time.sleep(_PAUSE_S)
    return owner.send(request.with_headers(If_Match=_version(request, owner)))


def _failure(control: ControlKind, operation: Operation, owner: TenantFixture) -> str | None:
    """Execute a positive control and return the problem of its response, or None."""
    match control:
        case ControlKind.PLAIN:
            response = owner.send(recipes.control_request(owner, operation))
        case ControlKind.CURSOR:
            response = owner.send(
                owner.requests[operation.name].with_query(limit="1", next_token=owner.cursors[operation.name])
            )
        case ControlKind.KEY:
            request, before = owner.keyed_requests[operation.name]
            response = owner.send(request)
            if (
                response.headers.get("Idempotent-Replayed") != "true"
                or response.headers["Location"] != before.headers["Location"]
            ):
                return "executes the request again"
        case ControlKind.VERSION:
            response = _with_version(recipes.control_request(owner, operation, again=True), owner)
    own_folders = tuple(f"/tenants/{name}/" for name in (owner.tenant_id, *_operators_folder(operation)))
    outside = [
        url for url in _PRESIGNED.findall(response_text(response)) if not any(folder in url for folder in own_folders)
    ]
    return f"contains the foreign object {outside}" if outside else None


def _operators_folder(operation: Operation) -> tuple[str, ...]:
    """Return the folder of operators' objects for their operations. No tenant can have its name."""
    return ("_operators",) if operation.path.startswith("/v1/admin/") else ()


def _version(request: Request, owner: TenantFixture) -> str:
    """Return the ETag of the resource of a request: at its own path, or at the nearest one above it.

    If the resource has no GET, an empty PATCH returns the ETag.
    """
    path = request.operation.path
    while path:
        for operation in (
            candidate for candidate in owner.operations if candidate.path == path and candidate.returns_version
        ):
            parameters = {name: request.parameters[name] for name in operation.path_parameters}
            body = dict[str, Any]() if operation.is_write else None
            etag = owner.send(replace(request, operation=operation, parameters=parameters, body=body)).headers.get(
                "ETag"
            )
            if etag:
                return etag
        path = path.rpartition("/")[0]
    return "*"
