"""The declaration of core: two functions, without a slice, events or a stack of its own as the other services have."""

from services.core.functions import api
from shared.declaration import Access, Function

API = Function(name="api", handler="services.core.functions.api.handler", access=Access.NONE, routes=api.handler.routes)

PUBLISHER = Function(
    name="publisher", handler="services.core.functions.publisher.handler", access=Access.NONE, every_minutes=1
)
