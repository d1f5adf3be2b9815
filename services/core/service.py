"""The declaration of core: three functions, without a slice, events or a stack of its own."""

from services.core.functions import api
from shared.declaration import Access, Function

API = Function(name="api", handler="services.core.functions.api.handler", access=Access.NONE, routes=api.handler.routes)

PUBLISHER = Function(
    name="publisher", handler="services.core.functions.publisher.handler", access=Access.NONE, every_minutes=1
)

AUTHORIZER = Function(
    name="authorizer",
    handler="services.core.functions.authorizer.handler",
    access=Access.NONE,
    authorizes=True,
    timeout_s=10,
)
"""Identifies the caller of every route that requires one."""
