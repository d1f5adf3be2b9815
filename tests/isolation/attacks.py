"""The attacks of a tenant on another tenant's data, for one operation.

`victim` and `attacker` are two tenants. All attacks are realistic: the attacker sends its own token, and ids of the
victim that it may have seen or guessed.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from shared.tenancy.permissions import Role
from tests.isolation.operation import Operation
from tests.isolation.request import Caller, Request
from tests.isolation.tenant_fixture import TENANT, TenantFixture

ROLES = tuple(role for role in Role if role is not Role.PLATFORM_ADMIN)
MISSING_TENANT = "no-such-tenant"
OPERATOR = Caller(None, Role.PLATFORM_ADMIN)
LONG_TEXT = "x" * 2_000
OTHER_USER_FAMILY = "key of another user"
"""The only family that may create a resource of the victim, because another user of the victim sends the request."""


class ControlKind(StrEnum):
    """The kinds of positive control: the owner's equivalent request, which must succeed."""

    PLAIN = "the same request"
    CURSOR = "the second page"
    KEY = "the same request with the same key again"
    VERSION = "the same request with the current version"


@dataclass(frozen=True, slots=True)
class Attack:
    """A request that must not return data of the victim."""

    family: str
    request: Request
    expected: frozenset[int]
    """The allowed statuses of the response."""
    control: ControlKind = ControlKind.PLAIN
    missing_counterpart: Request | None = None
    """The same request for a missing resource, which must have the same response."""
    allows_replay: bool = True
    """Whether the response may be a replay of an earlier one."""

    @property
    def kind(self) -> str:
        """The family without the variant in brackets."""
        return self.family.partition(" (")[0]

    @property
    def name(self) -> str:
        """A description of the attack in one line."""
        request = self.request
        return f"{self.family}: {request.operation.name} {dict(request.parameters)} by {request.caller}"


def attacks_on(operation: Operation, *, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield all attacks on an operation."""
    if operation.min_role is None:
        return
    yield from _tokens(operation, victim, attacker)
    yield from _roles(operation, victim, attacker)
    if TENANT not in operation.path_parameters:
        yield from _without_tenant(operation, attacker)
        return
    yield from _paths(operation, victim, attacker)
    if operation.min_role is Role.PLATFORM_ADMIN:
        return
    yield from _ids(operation, victim, attacker)
    yield from _odd_ids(operation, victim, attacker)
    yield from _references(operation, victim, attacker)
    yield from _cursors(operation, victim, attacker)
    yield from _keys(operation, victim, attacker)
    yield from _versions(operation, victim, attacker)
    yield from _smuggling(operation, victim, attacker)


def _tokens(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests without a token, and with tokens that resemble those of the victim."""
    request = victim.requests[operation.name]
    yield _expect_status("no token", request.sent_by(None), 401)
    is_operators = operation.min_role is Role.PLATFORM_ADMIN
    role = Role.TENANT_ADMIN if is_operators else victim.owner(operation).role
    owner, own = Caller(victim.tenant_id, role), Caller(attacker.tenant_id, role)
    # A path without a tenant may respond with the attacker's own data.
    harmless = frozenset(
        {404, *operation.statuses} if TENANT not in operation.path_parameters and not is_operators else ()
    )
    for name, token in victim.api.forged_tokens(owner, own).items():
        forged = replace(request.sent_by(own), token=token)
        yield Attack(f"forged token ({name})", forged, frozenset({401, 403}) | harmless)


def _roles(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests with insufficient roles of the same tenant, and on operators' paths also of the other one."""
    assert operation.min_role
    tenants = (
        (victim.tenant_id, attacker.tenant_id) if operation.min_role is Role.PLATFORM_ADMIN else (victim.tenant_id,)
    )
    for tenant_id, role in product(tenants, ROLES):
        if not role.includes(operation.min_role):
            yield _expect_status("role", victim.requests[operation.name].sent_by(Caller(tenant_id, role)), 403)


def _without_tenant(operation: Operation, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests on paths without a tenant, which must return the caller's own data only."""
    if operation.min_role is Role.PLATFORM_ADMIN:
        return
    for role in ROLES:
        request = attacker.requests[operation.name].sent_by(Caller(attacker.tenant_id, role))
        if role.includes(operation.min_role or role):
            yield Attack("path without a tenant", request, operation.statuses)


def _paths(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests on the victim's path with the attacker's token, and on paths that resemble the attacker's own."""
    request = victim.requests[operation.name]
    for role in ROLES:
        attempt = request.sent_by(Caller(attacker.tenant_id, role))
        missing_counterpart = attempt.with_parameters(tenant_id=MISSING_TENANT)
        yield replace(_expect_status("path", attempt, 403), missing_counterpart=missing_counterpart)
    for tenant_id in odd_tenants(victim.tenant_id, attacker.tenant_id):
        odd = request.with_parameters(tenant_id=tenant_id)
        yield _expect_status("odd path", odd.sent_by(Caller(attacker.tenant_id, Role.TENANT_ADMIN)), 403, 404)
        yield _expect_status("odd path of an operator", odd.sent_by(OPERATOR), 403, 404)


def odd_tenants(victim: str, attacker: str) -> tuple[str, ...]:
    """Return ids that could be mistaken for the attacker's tenant, or lead from it to the victim's."""
    return (
        *(f"{attacker}/../{victim}", f"{attacker}/{victim}", f"../tenants/{victim}", "..", "."),
        *(f"{attacker}%2F..%2F{victim}", f"{victim}%2f", f"{victim}%00", "%2e%2e"),
        *(f"{attacker}#", f"{victim}#", f"{victim}#RUNS", f"{attacker}#{victim}", f"TENANT#{victim}"),
        *(f"{victim}*", "*", "${aws:PrincipalTag/tenant_id}", f"{victim}?", f"{victim};", f"{attacker},{victim}"),
        *(victim.upper(), f"{victim} ", f" {victim}", f"{victim}\t", f"{victim}\n", f"{victim}\0"),
        *(victim.replace("a", "\u0430", 1), victim.replace("a", "\uff41", 1), f"{victim}\u200b", f"e\u0301{victim}"),
        *(victim + LONG_TEXT, attacker + LONG_TEXT, LONG_TEXT),
    )


def _ids(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests with the victim's ids in the attacker's own path."""
    theirs, own = victim.requests[operation.name], attacker.requests[operation.name]
    foreign = {name: value for name, value in theirs.parameters.items() if value in victim.ids}
    if not foreign:
        return
    for role in ROLES:
        is_sufficient = role.includes(operation.min_role or role)
        caller = Caller(attacker.tenant_id, role)
        for parameters in (foreign, *({name: value} for name, value in foreign.items() if len(foreign) > 1)):
            attempt = own.with_parameters(**parameters).sent_by(caller)
            missing_counterpart = attempt.with_parameters(
                **{name: _missing_id(value) for name, value in parameters.items()}
            )
            yield replace(
                _expect_status("id", attempt, 404 if is_sufficient else 403), missing_counterpart=missing_counterpart
            )


def _missing_id(identifier: str) -> str:
    """Return the id of a missing resource, with the same time as this one."""
    return f"{identifier[:-6]}000000"


def _odd_ids(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests with ids that could lead to keys outside of the attacker's own."""
    own = attacker.requests[operation.name]
    for name in operation.path_parameters:
        if name == TENANT:
            continue
        own_value, theirs = own.parameters[name], victim.requests[operation.name].parameters[name]
        for odd_value in (
            *(f"../../{victim.tenant_id}/{theirs}", f"..%2F..%2F{victim.tenant_id}%2F{theirs}", ".."),
            *(f"{own_value}#{theirs}", f"{own_value}/{theirs}", f"TENANT#{victim.tenant_id}#{theirs}", f"#{theirs}"),
            *(f"{own_value}\0", f"{own_value}\u200b", theirs.lower(), "\u0430", LONG_TEXT, "*"),
        ):
            if odd_value != theirs:
                yield _expect_status("odd id", own.with_parameters(**{name: odd_value}), 404, 422)


def _references(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests with the victim's ids in the body of the attacker's own request."""
    theirs, own = victim.requests[operation.name], attacker.requests[operation.name]
    foreign = _ids_in(theirs.body, victim)
    if not foreign:
        return
    for role in ROLES:
        is_sufficient = role.includes(operation.min_role or role)
        attempt = replace(own, body=theirs.body, caller=Caller(attacker.tenant_id, role))
        unknown = json.dumps(theirs.body)
        for identifier in foreign:
            unknown = unknown.replace(identifier, _missing_id(identifier))
        missing_counterpart = replace(attempt, body=json.loads(unknown))
        yield replace(
            _expect_status("reference", attempt, *((404, 409, 422) if is_sufficient else (403,))),
            missing_counterpart=missing_counterpart,
        )


def _ids_in(body: object, fixture: TenantFixture) -> list[str]:
    text = json.dumps(body)
    return sorted(identifier for identifier in fixture.ids if identifier in text)


def _cursors(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests with the victim's cursor in its own list and in the attacker's, and with one forged from both."""
    if operation.name not in victim.cursors:
        return
    theirs, own = victim.cursors[operation.name], attacker.cursors[operation.name]
    pages = (attacker.requests[operation.name], victim.requests[operation.name])
    for role in ROLES:
        caller = Caller(attacker.tenant_id, role)
        is_sufficient = role.includes(operation.min_role or role)
        own_page, foreign_page = (page.sent_by(caller).with_query(limit="1") for page in pages)
        for spelling in ("next_token", "nextToken"):
            yield replace(
                _expect_status("cursor", own_page.with_query(**{spelling: theirs}), 400 if is_sufficient else 403),
                control=ControlKind.CURSOR,
            )
        yield replace(
            _expect_status("cursor", foreign_page.with_query(next_token=theirs), 403), control=ControlKind.CURSOR
        )
        yield replace(
            _expect_status("cursor", foreign_page.with_query(next_token=own), 403), control=ControlKind.CURSOR
        )
        forged = own_page.with_query(next_token=_forged(own, position_from=theirs))
        yield replace(
            _expect_status("forged cursor", forged, *((200, 400) if is_sufficient else (403,))),
            control=ControlKind.CURSOR,
        )


def _forged(own: str, *, position_from: str) -> str:
    """Return a cursor that is valid for the attacker's list, with the position of the victim's."""
    (scope, _), (_, position) = (json.loads(base64.urlsafe_b64decode(token + "==")) for token in (own, position_from))
    return base64.urlsafe_b64encode(json.dumps([scope, position]).encode()).decode().rstrip("=")


def _keys(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests of the attacker, and of another user of the victim, with the victim's Idempotency-Key."""
    if operation.name not in victim.keyed_requests:
        return
    used, own = victim.keyed_requests[operation.name][0], attacker.requests[operation.name]
    caller = attacker.owner(operation)
    # The attacker's own resource with a unique name may exist already. That conflict reveals nothing of the victim.
    allowed = operation.statuses | {409}
    # The first caller may have the same user id as the victim's user.
    for number in (0, 1):
        own_request = own.with_headers(**used.headers).sent_by(replace(caller, number=number))
        yield Attack("key", own_request, allowed, control=ControlKind.KEY, allows_replay=False)
    other_user = replace(victim.owner(operation), number=1)
    yield Attack(OTHER_USER_FAMILY, used.sent_by(other_user), allowed, control=ControlKind.KEY, allows_replay=False)
    yield replace(_expect_status("key", used.sent_by(caller), 403), control=ControlKind.KEY)


def _versions(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests with If-Match for the victim's resources, whose versions they must not reveal."""
    if not operation.accepts_version:
        return
    theirs, own = victim.requests[operation.name], attacker.requests[operation.name]
    foreign = {name: value for name, value in theirs.parameters.items() if value in victim.ids}
    for tag in ('"1"', '"999"', "*"):
        caller = own.caller
        yield replace(
            _expect_status("version", theirs.sent_by(caller).with_headers(If_Match=tag), 403),
            control=ControlKind.VERSION,
        )
        if foreign:
            attempt = own.with_parameters(**foreign).with_headers(If_Match=tag)
            yield replace(_expect_status("version", attempt, 404), control=ControlKind.VERSION)


def _smuggling(operation: Operation, victim: TenantFixture, attacker: TenantFixture) -> Iterator[Attack]:
    """Yield requests with the victim's tenant in unexpected places: the query, the body and headers."""
    own = attacker.requests[operation.name]
    for name in (TENANT, "tenantId", "custom:tenant_id"):
        yield _expect_status("smuggled in the query", own.with_query(**{name: victim.tenant_id}), 422)
    if own.body is not None:
        body = own.body | {TENANT: victim.tenant_id}
        yield _expect_status("smuggled in the body", replace(own, body=body), 422)
    if not operation.is_write:
        headers = {
            "X-Tenant-Id": victim.tenant_id,
            "X-Original-Url": f"/v1/tenants/{victim.tenant_id}",
            "X-Rewrite-Url": f"/v1/tenants/{victim.tenant_id}",
            "X-HTTP-Method-Override": "DELETE",
            "X-Forwarded-Host": victim.tenant_id,
        }
        yield Attack("smuggled in headers", replace(own, headers=headers), operation.statuses)


def _expect_status(family: str, request: Request, *statuses: int) -> Attack:
    return Attack(family, request, frozenset(statuses))
