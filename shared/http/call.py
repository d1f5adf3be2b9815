"""The HTTP call being answered in this context."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Depends

from shared.storage.idempotency import Once
from shared.tenancy.context import TenantAccess, TenantContext


@dataclass(frozen=True, slots=True)
class Call:
    """What is known of a call before its handler runs."""

    request_id: str
    now: datetime
    path: str
    caller: TenantContext | None = None
    access: TenantAccess | None = None
    """What the service knows of the tenant; read before every change."""
    once: Once | None = None
    """Set when the caller sent an Idempotency-Key."""
    if_match: str | None = None
    prefer: str | None = None


current: ContextVar[Call] = ContextVar("call")


def _caller() -> TenantContext:
    caller = current.get().caller
    if caller is None:
        msg = "this route asks for no token, so it has no caller"
        raise RuntimeError(msg)
    return caller


def _call() -> Call:
    return current.get()


def _access() -> TenantAccess:
    access = current.get().access
    if access is None:
        msg = "this route changes nothing, or its service keeps no copy of the tenant"
        raise RuntimeError(msg)
    return access


Caller = Annotated[TenantContext, Depends(_caller)]
"""A handler's parameter: who calls."""

KnownTenant = Annotated[TenantAccess, Depends(_access)]
"""A changing handler's parameter: what the service knows of the tenant."""

CurrentCall = Annotated[Call, Depends(_call)]
"""A handler's parameter: the call itself, with its time and headers."""
