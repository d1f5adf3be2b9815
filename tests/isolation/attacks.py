"""Everything that a tenant can try to reach another one's data, for one operation at a time.

`victim` and `attacker` are two tenants; what the attacker sends it can really send: its own token, and whatever it may
have seen or guessed of the victim.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from shared.tenancy.permissions import Role
from tests.isolation.estate import TENANT, Estate
from tests.isolation.operation import Operation
from tests.isolation.request import Caller, Request

ROLES = tuple(role for role in Role if role is not Role.PLATFORM_ADMIN)
NOBODY = "no-such-tenant"
OPERATOR = Caller(None, Role.PLATFORM_ADMIN)
LONG = "x" * 2_000
NEIGHBOUR = "key of a neighbour"
"""The one family that may make something of the victim: another of its users does so."""


class Twin(StrEnum):
    """What the owner does in the same way, and must be able to do."""

    PLAIN = "the same request"
    CURSOR = "the second page"
    KEY = "the same request with the same key again"
    VERSION = "the same request with the version that is there"


@dataclass(frozen=True, slots=True)
class Attack:
    """A request that must give nothing of the victim."""

    family: str
    request: Request
    expected: frozenset[int]
    """The statuses that it may be answered with."""
    twin: Twin = Twin.PLAIN
    like: Request | None = None
    """What must be answered alike: the same for something that does not exist."""
    replays: bool = True
    """Whether an earlier answer may be repeated."""

    @property
    def kind(self) -> str:
        """The family without what is special."""
        return self.family.partition(" (")[0]

    @property
    def name(self) -> str:
        """What is tried, in one line."""
        request = self.request
        return f"{self.family}: {request.operation.name} {dict(request.parameters)} by {request.caller}"


def attacks(operation: Operation, *, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """All attacks on an operation."""
    if operation.least is None:
        return
    yield from _tokens(operation, victim, attacker)
    yield from _roles(operation, victim, attacker)
    if TENANT not in operation.names:
        yield from _without_tenant(operation, attacker)
        return
    yield from _paths(operation, victim, attacker)
    if operation.least is Role.PLATFORM_ADMIN:
        return
    yield from _ids(operation, victim, attacker)
    yield from _odd_ids(operation, victim, attacker)
    yield from _references(operation, victim, attacker)
    yield from _cursors(operation, victim, attacker)
    yield from _keys(operation, victim, attacker)
    yield from _versions(operation, victim, attacker)
    yield from _smuggling(operation, victim, attacker)


def _tokens(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """No token, and tokens that only look like one of the victim's."""
    request = victim.requests[operation.name]
    yield _refused("no token", request.by(None), 401)
    is_operators = operation.least is Role.PLATFORM_ADMIN
    role = Role.TENANT_ADMIN if is_operators else victim.owner(operation).role
    owner, own = Caller(victim.tenant_id, role), Caller(attacker.tenant_id, role)
    # A path of all may be answered with what is the forger's own.
    harmless = frozenset({404, *operation.statuses} if TENANT not in operation.names and not is_operators else ())
    for name, token in victim.way.forgeries(owner, own).items():
        forged = replace(request.by(own), token=token)
        yield Attack(f"forged token ({name})", forged, frozenset({401, 403}) | harmless)


def _roles(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """Roles that are not enough: of the same tenant, and on the paths of operators of the other one too."""
    assert operation.least
    tenants = (victim.tenant_id, attacker.tenant_id) if operation.least is Role.PLATFORM_ADMIN else (victim.tenant_id,)
    for tenant_id, role in product(tenants, ROLES):
        if not role.includes(operation.least):
            yield _refused("role", victim.requests[operation.name].by(Caller(tenant_id, role)), 403)


def _without_tenant(operation: Operation, attacker: Estate) -> Iterator[Attack]:
    """Paths that are everybody's show everybody its own."""
    if operation.least is Role.PLATFORM_ADMIN:
        return
    for role in ROLES:
        request = attacker.requests[operation.name].by(Caller(attacker.tenant_id, role))
        if role.includes(operation.least or role):
            yield Attack("path of all", request, operation.statuses)


def _paths(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """The victim's path with the attacker's token, and paths that only look like the attacker's own."""
    request = victim.requests[operation.name]
    for role in ROLES:
        tried = request.by(Caller(attacker.tenant_id, role))
        like = tried.at(tenant_id=NOBODY)
        yield replace(_refused("path", tried, 403), like=like)
    for tenant_id in odd_tenants(victim.tenant_id, attacker.tenant_id):
        odd = request.at(tenant_id=tenant_id)
        yield _refused("odd path", odd.by(Caller(attacker.tenant_id, Role.TENANT_ADMIN)), 403, 404)
        yield _refused("odd path of an operator", odd.by(OPERATOR), 403, 404)


def odd_tenants(victim: str, attacker: str) -> tuple[str, ...]:
    """What could be taken for the attacker's tenant, or lead from it to the victim's."""
    return (
        *(f"{attacker}/../{victim}", f"{attacker}/{victim}", f"../tenants/{victim}", "..", "."),
        *(f"{attacker}%2F..%2F{victim}", f"{victim}%2f", f"{victim}%00", "%2e%2e"),
        *(f"{attacker}#", f"{victim}#", f"{victim}#RUNS", f"{attacker}#{victim}", f"TENANT#{victim}"),
        *(f"{victim}*", "*", "${aws:PrincipalTag/tenant_id}", f"{victim}?", f"{victim};", f"{attacker},{victim}"),
        *(victim.upper(), f"{victim} ", f" {victim}", f"{victim}\t", f"{victim}\n", f"{victim}\0"),
        *(victim.replace("a", "\u0430", 1), victim.replace("a", "\uff41", 1), f"{victim}\u200b", f"e\u0301{victim}"),
        *(victim + LONG, attacker + LONG, LONG),
    )


def _ids(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """The victim's ids in the attacker's own path."""
    theirs, own = victim.requests[operation.name], attacker.requests[operation.name]
    foreign = {name: value for name, value in theirs.parameters.items() if value in victim.ids}
    if not foreign:
        return
    for role in ROLES:
        enough = role.includes(operation.least or role)
        caller = Caller(attacker.tenant_id, role)
        for parameters in (foreign, *({name: value} for name, value in foreign.items() if len(foreign) > 1)):
            tried = own.at(**parameters).by(caller)
            like = tried.at(**{name: _unknown(value) for name, value in parameters.items()})
            yield replace(_refused("id", tried, 404 if enough else 403), like=like)


def _unknown(identifier: str) -> str:
    """An id as old as this one, of nothing."""
    return f"{identifier[:-6]}000000"


def _odd_ids(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """Ids that could lead out of the attacker's own keys."""
    own = attacker.requests[operation.name]
    for name in operation.names:
        if name == TENANT:
            continue
        good, theirs = own.parameters[name], victim.requests[operation.name].parameters[name]
        for odd in (
            *(f"../../{victim.tenant_id}/{theirs}", f"..%2F..%2F{victim.tenant_id}%2F{theirs}", ".."),
            *(f"{good}#{theirs}", f"{good}/{theirs}", f"TENANT#{victim.tenant_id}#{theirs}", f"#{theirs}"),
            *(f"{good}\0", f"{good}\u200b", theirs.lower(), "\u0430", LONG, "*"),
        ):
            if odd != theirs:
                yield _refused("odd id", own.at(**{name: odd}), 404, 422)


def _references(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """The victim's ids in the body of the attacker's own request."""
    theirs, own = victim.requests[operation.name], attacker.requests[operation.name]
    foreign = _ids_in(theirs.body, victim)
    if not foreign:
        return
    for role in ROLES:
        enough = role.includes(operation.least or role)
        tried = replace(own, body=theirs.body, caller=Caller(attacker.tenant_id, role))
        unknown = json.dumps(theirs.body)
        for identifier in foreign:
            unknown = unknown.replace(identifier, _unknown(identifier))
        like = replace(tried, body=json.loads(unknown))
        yield replace(_refused("reference", tried, *((404, 409, 422) if enough else (403,))), like=like)


def _ids_in(body: object, estate: Estate) -> list[str]:
    text = json.dumps(body)
    return sorted(identifier for identifier in estate.ids if identifier in text)


def _cursors(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """The victim's cursor in its own list and in the attacker's, and one forged from both."""
    if operation.name not in victim.cursors:
        return
    theirs, own = victim.cursors[operation.name], attacker.cursors[operation.name]
    pages = (attacker.requests[operation.name], victim.requests[operation.name])
    for role in ROLES:
        caller = Caller(attacker.tenant_id, role)
        enough = role.includes(operation.least or role)
        mine, foreign = (page.by(caller).asking(limit="1") for page in pages)
        for spelling in ("next_token", "nextToken"):
            yield replace(
                _refused("cursor", mine.asking(**{spelling: theirs}), 400 if enough else 403), twin=Twin.CURSOR
            )
        yield replace(_refused("cursor", foreign.asking(next_token=theirs), 403), twin=Twin.CURSOR)
        yield replace(_refused("cursor", foreign.asking(next_token=own), 403), twin=Twin.CURSOR)
        forged = mine.asking(next_token=_forged(own, place_from=theirs))
        yield replace(_refused("forged cursor", forged, *((200, 400) if enough else (403,))), twin=Twin.CURSOR)


def _forged(own: str, *, place_from: str) -> str:
    """A cursor that is good for the attacker's list and goes on where the victim's did."""
    (mark, _), (_, place) = (json.loads(base64.urlsafe_b64decode(token + "==")) for token in (own, place_from))
    return base64.urlsafe_b64encode(json.dumps([mark, place]).encode()).decode().rstrip("=")


def _keys(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """The victim's Idempotency-Key in the attacker's own request, and in that of another user of the victim."""
    if operation.name not in victim.keyed:
        return
    used, own = victim.keyed[operation.name][0], attacker.requests[operation.name]
    caller = attacker.owner(operation)
    # What can be made only once of its name is there already: that tells the attacker of its own alone.
    done = operation.statuses | {409}
    # The first may have the same user id as the victim's user.
    for number in (0, 1):
        mine = own.given(**used.headers).by(replace(caller, number=number))
        yield Attack("key", mine, done, twin=Twin.KEY, replays=False)
    neighbour = replace(victim.owner(operation), number=1)
    yield Attack(NEIGHBOUR, used.by(neighbour), done, twin=Twin.KEY, replays=False)
    yield replace(_refused("key", used.by(caller), 403), twin=Twin.KEY)


def _versions(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """An If-Match of the victim's tells nothing of what it has."""
    if not operation.takes_version:
        return
    theirs, own = victim.requests[operation.name], attacker.requests[operation.name]
    foreign = {name: value for name, value in theirs.parameters.items() if value in victim.ids}
    for tag in ('"1"', '"999"', "*"):
        caller = own.caller
        yield replace(_refused("version", theirs.by(caller).given(If_Match=tag), 403), twin=Twin.VERSION)
        if foreign:
            tried = own.at(**foreign).given(If_Match=tag)
            yield replace(_refused("version", tried, 404), twin=Twin.VERSION)


def _smuggling(operation: Operation, victim: Estate, attacker: Estate) -> Iterator[Attack]:
    """The victim's tenant where no tenant belongs: the query, the body and headers."""
    own = attacker.requests[operation.name]
    for name in (TENANT, "tenantId", "custom:tenant_id"):
        yield _refused("smuggled in the query", own.asking(**{name: victim.tenant_id}), 422)
    if own.body is not None:
        body = own.body | {TENANT: victim.tenant_id}
        yield _refused("smuggled in the body", replace(own, body=body), 422)
    if not operation.changes:
        headers = {
            "X-Tenant-Id": victim.tenant_id,
            "X-Original-Url": f"/v1/tenants/{victim.tenant_id}",
            "X-Rewrite-Url": f"/v1/tenants/{victim.tenant_id}",
            "X-HTTP-Method-Override": "DELETE",
            "X-Forwarded-Host": victim.tenant_id,
        }
        yield Attack("smuggled in headers", replace(own, headers=headers), operation.statuses)


def _refused(family: str, request: Request, *statuses: int) -> Attack:
    return Attack(family, request, frozenset(statuses))
