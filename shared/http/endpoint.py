"""One route of an application with everything that the edge does for it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel

from shared.declaration import Route
from shared.http.request import JSON, Request
from shared.metrics import Class
from shared.storage.items import Key

Prefetch = Callable[[str, Request], Sequence[Key]]
"""Returns the keys that a request to a tenant's path certainly reads, to be read together."""
Replay = Callable[[Any, str], Response[Any]]
"""Renders the response to an earlier request with the same Idempotency-Key, from the caller (a `TenantContext`, on
operators' paths an `OperatorContext`) and the id of the resource that it created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A route, its handler and its options."""

    route: Route
    handler: Callable[..., Any]
    statuses: tuple[int, ...]
    """The statuses of successful responses."""
    query: type[BaseModel] | None = None
    """The model of the query parameters."""
    media_type: str = JSON
    """Of successful responses; errors are always JSON."""
    replay: Replay | None = None
    prefetch: Prefetch | None = None
    waits: bool = False
    """Whether a client can wait for the result with `Prefer: wait`."""
    audited: bool = False
    """Whether a change is recorded in the tenant's audit log."""
    documented: bool = True
    """False for the second of two methods with one handler, so that clients are generated with one of them."""
    alternatives: Mapping[str, type[BaseModel]] = field(default_factory=dict[str, type[BaseModel]])
    """Further media types of successful responses, which a client asks for with `Accept`."""
    event: type[BaseModel] | None = None
    """The type of one event of a stream."""
    even_unpaid: bool = False
    """Whether the route is also open to tenants that billing has suspended."""

    @property
    def key(self) -> tuple[str, str]:
        """The method and path, which identify a route within an application."""
        return self.route.method, self.route.path

    @property
    def summary(self) -> str | None:
        """The handler's docstring."""
        return inspect.getdoc(self.handler)

    @property
    def takes_idempotency_key(self) -> bool:
        """Whether the same request sent twice is carried out once."""
        return self.replay is not None

    @property
    def streams(self) -> bool:
        """Whether responses are sent piece by piece."""
        return self.media_type != JSON


def latency_class(endpoint: Endpoint | None, request: Request) -> Class:
    """Return how fast a response can be expected, also of a request without an endpoint."""
    if (endpoint and endpoint.streams) or "wait" in request.headers.get("prefer", ""):
        return Class.WAIT
    return Class.READ if request.method == "GET" else Class.CHANGE


def query_model(handler: Callable[..., Any]) -> type[BaseModel] | None:
    """Return the model of the query parameters that a handler declares."""
    for hint in get_type_hints(handler, include_extras=True).values():
        if get_origin(hint) is Annotated and any(isinstance(extra, Query) for extra in get_args(hint)[1:]):
            return get_args(hint)[0]
    return None


def parameter_names(query: type[BaseModel] | None) -> frozenset[str]:
    """Return the names of a query model's parameters, as clients send them."""
    fields = query.model_fields if query else {}
    return frozenset(field.alias or name for name, field in fields.items())
