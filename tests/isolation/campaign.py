"""All attacks of two tenants on each other, and the twins of these attacks by the owners."""

import json
import re
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
from tests.isolation.attacks import Attack, Twin, attacks
from tests.isolation.estate import Estate, NotMade
from tests.isolation.operation import Operation
from tests.isolation.request import Request, Way

TENANTS = ("acme", "acme2")
"""Each begins like the other."""
_PRESIGNED = re.compile(r"https?://[^\s\"']+X-Amz-Signature[^\s\"']+")

_READS = 3


@dataclass
class Report:
    """What became of the attacks, and of their twins."""

    tried: Counter[str] = field(default_factory=Counter[str])
    """Attacks by family."""
    breaches: list[str] = field(default_factory=list[str])
    twins: int = 0
    failures: list[str] = field(default_factory=list[str])
    """Twins that did not succeed."""
    attacked: set[str] = field(default_factory=set[str])
    """The names of the operations."""

    def __str__(self) -> str:
        tried = sum(self.tried.values())
        rows = (f"  {family:38} {number:6}" for family, number in sorted(self.tried.items()))
        head = (
            f"{tried - len(self.breaches)} of {tried} attacks on {len(self.attacked)} operations blocked; "
            f"{self.twins - len(self.failures)} of {self.twins} twins succeeded"
        )
        return "\n".join([head, *rows])


def estates(way: Way, operations: Sequence[Operation], *tenants: str, canary: str) -> list[Estate]:
    """Tenants with something of everything."""
    made = [Estate(way, operations, tenant_id, f"{canary}-{tenant_id}-canary") for tenant_id in tenants]
    for estate in made:
        estate.plant(recipes.makers(estate))
        recipes.plant_others(estate)
        recipes.requests_of(estate)
        estate.find_cursors()
    return made


def ten_minutes_ago() -> AbstractContextManager[object]:
    """What is made now is old afterwards: its events have arrived everywhere, and nothing is waited for."""
    return time_machine.travel(utc_now() - timedelta(minutes=10))


def attack_all(
    report: Report,
    *,
    victim: Estate,
    attacker: Estate,
    most: int | None = None,
    chosen: Callable[[Attack], bool] = lambda _: True,
) -> None:
    """Every attack on every operation.

    Args:
        report: what becomes of them is added to it.
        victim: whose data is to be reached.
        attacker: who tries.
        most: how many of each family on each operation, others of them on each; None: all.
        chosen: says which of them are made.
    """
    for place, operation in enumerate(victim.operations):
        tried = [attack for attack in attacks(operation, victim=victim, attacker=attacker) if chosen(attack)]
        for attack in tried if most is None else _some(tried, most, start=place):
            report.tried[attack.kind] += 1
            report.attacked.add(operation.name)
            problem = _problem(attack, victim)
            if problem:
                report.breaches.append(f"{attack.name}: {problem}")


def _some(found: Sequence[Attack], most: int, *, start: int) -> Iterator[Attack]:
    """A few of each family, beginning with another one each time."""
    for kind in {attack.kind: None for attack in found}:
        family = [attack for attack in found if attack.kind == kind]
        step = max(1, len(family) // most)
        yield from [family[(start + number * step) % len(family)] for number in range(min(most, len(family)))]


def _problem(attack: Attack, victim: Estate) -> str | None:
    """What is wrong with the answer to an attack, if anything."""
    answer = victim.way.send(attack.request)
    if answer.status not in attack.expected:
        return f"answered {answer.status}"
    own_tenant = attack.request.caller and attack.request.caller.tenant_id == victim.tenant_id
    seen = None if own_tenant else victim.marks.search(whole(answer))
    if seen:
        return f"shows {seen[0]}"
    if not attack.replays and "Idempotent-Replayed" in answer.headers:
        return "replays what somebody else has done"
    if attack.like and _said(answer) != _said(victim.way.send(attack.like)):
        return "is answered otherwise than what does not exist"
    return None


def whole(answer: ApiResponse) -> str:
    """All that an answer holds."""
    return f"{json.dumps(answer.body, ensure_ascii=False)} {dict(answer.headers)}"


def _said(answer: ApiResponse) -> tuple[int, str]:
    """An answer without what is new in each."""
    said: dict[str, Any] = answer.body or {}
    return answer.status, json.dumps({name: value for name, value in said.items() if name != "requestId"})


def succeed_all(report: Report, owner: Estate) -> None:
    """The twins of all attacks on this tenant, by its owner."""
    for operation in sorted(owner.operations, key=recipes.comes_last):
        for twin in twins_of(operation, owner):
            report.twins += 1
            try:
                problem = _failure(twin, operation, owner)
            except NotMade as error:
                problem = str(error)
            if problem:
                report.failures.append(f"{twin} of {operation.name}: {problem}")


def twins_of(operation: Operation, owner: Estate) -> Iterator[Twin]:
    """The twins that an owner's operation has."""
    if operation.least is None:
        return
    yield Twin.PLAIN
    if operation.name in owner.cursors:
        yield Twin.CURSOR
    if operation.name in owner.keyed:
        yield Twin.KEY
    if operation.takes_version:
        yield Twin.VERSION


def _with_version(request: Request, owner: Estate) -> ApiResponse:
    """The answer to a change of what was just read; read again where an event has changed it in between."""
    for _ in range(_READS - 1):
        answer = owner.send(request.given(If_Match=_version(request, owner)))
        if answer.status != 412:
            return answer
    return owner.send(request.given(If_Match=_version(request, owner)))


def _failure(twin: Twin, operation: Operation, owner: Estate) -> str | None:
    """Why a twin does not do what it must, if so."""
    match twin:
        case Twin.PLAIN:
            answer = owner.send(recipes.twin_of(owner, operation))
        case Twin.CURSOR:
            answer = owner.send(
                owner.requests[operation.name].asking(limit="1", next_token=owner.cursors[operation.name])
            )
        case Twin.KEY:
            request, before = owner.keyed[operation.name]
            answer = owner.send(request)
            if (
                answer.headers.get("Idempotent-Replayed") != "true"
                or answer.headers["Location"] != before.headers["Location"]
            ):
                return "is done again"
        case Twin.VERSION:
            answer = _with_version(recipes.twin_of(owner, operation, again=True), owner)
    own = tuple(f"/tenants/{name}/" for name in (owner.tenant_id, *_operators(operation)))
    outside = [url for url in _PRESIGNED.findall(whole(answer)) if not any(folder in url for folder in own)]
    return f"shows the foreign object {outside}" if outside else None


def _operators(operation: Operation) -> tuple[str, ...]:
    """What only operators may ask for lies in a folder of their own, a name that no tenant can have."""
    return ("_operators",) if operation.path.startswith("/v1/admin/") else ()


def _version(request: Request, owner: Estate) -> str:
    """The ETag of what a request is about: of its own path, or of the nearest one above it.

    What cannot be read by itself is told by a change that changes nothing.
    """
    path = request.operation.path
    while path:
        for operation in (one for one in owner.operations if one.path == path and one.tells_version):
            shown = {name: request.parameters[name] for name in operation.names}
            body = dict[str, Any]() if operation.changes else None
            etag = owner.send(replace(request, operation=operation, parameters=shown, body=body)).headers.get("ETag")
            if etag:
                return etag
        path = path.rpartition("/")[0]
    return "*"
