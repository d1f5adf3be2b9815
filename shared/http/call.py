"""The HTTP call of the current scope."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Depends

from shared.scope import WorkScope, current
from shared.storage.idempotency import IdempotencyKey
from shared.tenancy.context import OperatorContext, TenantAccess, TenantContext


@dataclass(frozen=True, slots=True)
class HttpCall:
    """The data of a call that is available before its handler runs."""

    request_id: str
    now: datetime
    path: str
    caller: TenantContext | OperatorContext | None = None
    access: TenantAccess | None = None
    """The service's copy of the tenant; read before every change."""
    idempotency_key: IdempotencyKey | None = None
    """Set when the caller sent an Idempotency-Key."""
    if_match: str | None = None
    prefer: str | None = None
    accept: str | None = None
    """The media types that the caller accepts."""


@dataclass(frozen=True, kw_only=True)
class HttpScope(WorkScope):
    """The scope of an HTTP request. The fields that only HTTP knows are here, since `shared.scope` knows no layer."""

    call: HttpCall | None = None
    """Set once the request has passed the checks before its handler."""


def http_scope() -> HttpScope:
    """Return the scope of the current request."""
    scope = current()
    if not isinstance(scope, HttpScope):
        msg = "no HTTP request is handled in this context"
        raise RuntimeError(msg)  # noqa: TRY004 — the place of the call is wrong, not a value
    return scope


def current_call() -> HttpCall:
    """Return the call that is handled in the current scope."""
    call = http_scope().call
    if call is None:
        msg = "the request has not passed all checks yet"
        raise RuntimeError(msg)
    return call


def _caller() -> TenantContext:
    caller = current_call().caller
    if not isinstance(caller, TenantContext):
        msg = "this route needs no token, or belongs to no tenant"
        raise RuntimeError(msg)  # noqa: TRY004 — an error of the route's declaration, not of a value
    return caller


def _access() -> TenantAccess:
    access = current_call().access
    if access is None:
        msg = "this route changes nothing, or its service keeps no copy of the tenant"
        raise RuntimeError(msg)
    return access


Caller = Annotated[TenantContext, Depends(_caller)]
"""A handler's parameter: the caller."""

KnownTenant = Annotated[TenantAccess, Depends(_access)]
"""A parameter of a handler that changes data: the service's copy of the tenant."""

CurrentCall = Annotated[HttpCall, Depends(current_call)]
"""A handler's parameter: the call, with its time and headers."""
