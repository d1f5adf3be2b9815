"""Core's own two functions, declared as a service declares its functions."""

from infra.core.api import app
from shared.declaration import Access, Function

API = Function(name="api", handler="infra.core.api.handler", access=Access.NONE, routes=app.routes)

PUBLISHER = Function(name="publisher", handler="infra.core.publisher.handler", access=Access.NONE, every_minutes=1)
