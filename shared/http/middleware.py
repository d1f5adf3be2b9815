"""The steps between a request and its handler, in the order of `MIDDLEWARES`.

The order matters: a caller without access learns nothing about the form of a valid request.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from shared.audit import network_of, recorded
from shared.aws.credentials import acting_for
from shared.errors import Detail, InvalidRequest, Malformed, NotFound, TooLarge
from shared.http.call import HttpCall, current_call, http_scope
from shared.http.endpoint import Endpoint, parameter_names
from shared.http.request import JSON, NOT_VALID, Request
from shared.observability import logger
from shared.scope import Change, Opened
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.store import Store
from shared.tenancy.claims import InvalidToken, read_claims
from shared.tenancy.context import OperatorContext, TenantAccess, TenantContext, bind, check_may_change
from shared.times import utc_now

MAX_IDEMPOTENCY_KEY_CHARS = 255
ALL_TENANTS = ""
"""Takes the place of a tenant's id in the keys of operators' idempotency records; no tenant has it."""

Gateway = dict[str, Any]
"""An event or a response of API Gateway's Lambda proxy integration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request on its way to the handler, with the results of the steps that it has passed."""

    event: Gateway
    context: Any
    """Lambda's own object."""
    request: Request
    endpoint: Endpoint
    access_of: Callable[[str], TenantAccess] | None
    """Reads the service's copy of a tenant's state."""
    store: Callable[[], Store] | None
    """Opens the slice that holds the service's idempotency records."""
    caller: TenantContext | OperatorContext | None = None
    access: TenantAccess | None = None

    @property
    def tenant(self) -> TenantContext | None:
        """The caller, if it acts in one tenant."""
        return self.caller if isinstance(self.caller, TenantContext) else None


Proceed = Callable[[Exchange], Gateway]
Middleware = Callable[[Exchange, Proceed], Gateway]


def chain(middlewares: Sequence[Middleware], handle: Proceed) -> Proceed:
    """Return a function that takes an exchange through all middlewares, the first one outermost, to the handler."""

    def before(middleware: Middleware, proceed: Proceed) -> Proceed:
        return lambda exchange: middleware(exchange, proceed)

    for middleware in reversed(middlewares):
        handle = before(middleware, handle)
    return handle


def authenticate(exchange: Exchange, proceed: Proceed) -> Gateway:
    """Bind the caller to the tenant of the path, by the claims of the token that the gateway has verified.

    Raises:
        InvalidToken: the route needs a token, and the gateway has passed on no claims.
        Forbidden: the path belongs to another tenant, or the role does not suffice.
    """
    min_role, request = exchange.endpoint.route.min_role, exchange.request
    if min_role is None:
        return proceed(exchange)
    if not request.claims:
        msg = "Invalid authentication token"
        raise InvalidToken(msg)
    claims = read_claims(request.claims, audience=os.environ["USER_POOL_CLIENT_ID"])
    caller = bind(claims, path_tenant=request.path_tenant, min_role=min_role, request_id=request.request_id)
    if not isinstance(caller, TenantContext):
        return proceed(replace(exchange, caller=caller))
    logger.thread_safe_append_keys(tenant_id=caller.tenant_id)
    with acting_for(caller.tenant_id):
        return proceed(replace(exchange, caller=caller))


def prefetch(exchange: Exchange, proceed: Proceed) -> Gateway:
    """Read the items that the endpoint names together, before the steps that need them."""
    keys, tenant = exchange.endpoint.prefetch, exchange.tenant
    if keys is None or tenant is None or exchange.store is None or exchange.request.too_large:
        return proceed(exchange)
    with exchange.store().prefetching(keys(tenant.tenant_id, exchange.request)):
        return proceed(exchange)


def check_size_and_path(exchange: Exchange, proceed: Proceed) -> Gateway:
    """Refuse bodies and paths that no valid request has.

    Raises:
        TooLarge: the body is over 1 MiB.
        NotFound: a part of the path is longer than any id, or not printable.
    """
    if exchange.request.too_large:
        msg = "The body is over 1 MiB."
        raise TooLarge(msg)
    if exchange.request.has_odd_path:
        raise no_such_route()
    return proceed(exchange)


def authorize_change(exchange: Exchange, proceed: Proceed) -> Gateway:
    """Let only an active tenant with the endpoint's feature change anything.

    Raises:
        PaymentRequired: billing has suspended the tenant.
        Forbidden: an operator has suspended it, it is being deleted, or it lacks the feature.
    """
    tenant, endpoint = exchange.tenant, exchange.endpoint
    if tenant is None or exchange.access_of is None or endpoint.route.method == "GET":
        return proceed(exchange)
    access = exchange.access_of(tenant.tenant_id)
    check_may_change(tenant, access, endpoint.route.feature, even_unpaid=endpoint.even_unpaid)
    return proceed(replace(exchange, access=access))


def check_query_and_body(exchange: Exchange, proceed: Proceed) -> Gateway:
    """Refuse unknown query parameters and a body that is no JSON. The resolver checks the values.

    Raises:
        InvalidRequest: a query parameter is unknown, or the body is nested too deeply.
        UnsupportedMediaType: the body has another media type.
        Malformed: the body cannot be read.
    """
    unknown = sorted(exchange.request.query_names - parameter_names(exchange.endpoint.query))
    if unknown:
        raise InvalidRequest(NOT_VALID, [Detail(name, "unknown query parameter") for name in unknown])
    exchange.request.check_json()
    return proceed(replace(exchange, event=_with_json_body(exchange.event)))


def _with_json_body(event: Gateway) -> Gateway:
    """Return the event with the one media type of a body that the resolver knows, in its spelling."""
    headers: dict[str, str] = event.get("headers") or {}
    return event | {"headers": {name: value for name, value in headers.items() if name.lower() != "content-type"}}


def open_call(exchange: Exchange, proceed: Proceed) -> Gateway:
    """Make the call available to the handler and its dependencies."""
    request = exchange.request
    call = HttpCall(
        request_id=request.request_id,
        now=utc_now(),
        path=request.path,
        caller=exchange.caller,
        access=exchange.access,
        if_match=request.headers.get("if-match"),
        prefer=request.headers.get("prefer"),
        accept=request.headers.get("accept"),
    )
    with Opened(http_scope().with_fields(call=replace(call, idempotency_key=_once(exchange, call)))):
        return proceed(exchange)


def _once(exchange: Exchange, call: HttpCall) -> IdempotencyKey | None:
    """Return the record of this Idempotency-Key, for an endpoint that takes one.

    Raises:
        Malformed: the key is empty or over 255 characters.
    """
    request, caller = exchange.request, exchange.caller
    key = request.headers.get("idempotency-key")
    if key is None or caller is None or not exchange.endpoint.takes_idempotency_key:
        return None
    if not key.strip() or len(key) > MAX_IDEMPOTENCY_KEY_CHARS:
        msg = f"The Idempotency-Key must have 1 to {MAX_IDEMPOTENCY_KEY_CHARS} characters."
        raise Malformed(msg)
    return IdempotencyKey(
        tenant_id=exchange.tenant.tenant_id if exchange.tenant else ALL_TENANTS,
        scope=f"{caller.principal} {request.method} {request.resource}",
        key=key,
        fingerprint=request.fingerprint,
        now=call.now,
    )


def record_change(exchange: Exchange, proceed: Proceed) -> Gateway:
    """Record every transaction that the request commits in the tenant's audit log."""
    request, caller = exchange.request, exchange.caller
    if caller is None or not exchange.endpoint.audited:
        return proceed(exchange)
    change = Change(
        request_id=request.request_id,
        principal=caller.principal,
        role=caller.role,
        action=f"{request.method} {request.resource}",
        target=request.path,
        network=network_of(request.address),
        at=current_call().now,
    )
    with recorded(change):
        return proceed(exchange)


def replay(exchange: Exchange, proceed: Proceed) -> Gateway:
    """Answer a repeated request with the resource that the first one has created."""
    idempotency_key, render = current_call().idempotency_key, exchange.endpoint.replay
    try:
        if idempotency_key and exchange.store:
            idempotency_key.ensure_new(exchange.store())
        return proceed(exchange)
    except AlreadyDone as done:
        if render is None:
            raise
        return _replayed(render(exchange.caller, done.resource_id))


def _replayed(response: Response[Any]) -> Gateway:
    body = response.body.model_dump_json() if isinstance(response.body, BaseModel) else None
    headers = {"Content-Type": JSON, **response.headers, "Idempotent-Replayed": "true"}
    return {
        "statusCode": response.status_code,
        "body": body or "",
        "isBase64Encoded": False,
        "multiValueHeaders": {name: value if isinstance(value, list) else [value] for name, value in headers.items()},
    }


def no_such_route() -> NotFound:
    """Return the error of a path or method that does not exist."""
    return NotFound("There is no such path or method.")


MIDDLEWARES: tuple[Middleware, ...] = (
    authenticate,
    prefetch,
    check_size_and_path,
    authorize_change,
    check_query_and_body,
    open_call,
    record_change,
    replay,
)
