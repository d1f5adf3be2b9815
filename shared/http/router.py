"""The routes of a capability. An `HttpApp` serves the routes of several capabilities."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from shared.declaration import Route
from shared.http.endpoint import Endpoint, Prefetch, Replay, query_model
from shared.http.request import JSON
from shared.tenancy.permissions import Feature, Role

_DEFAULT_STATUS = {"POST": 201, "DELETE": 204}

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Router:
    """Endpoints in the order of their registration."""

    def __init__(self) -> None:
        self._endpoints: list[Endpoint] = []

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints."""
        return tuple(self._endpoints)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes of all endpoints."""
        return tuple(endpoint.route for endpoint in self._endpoints)

    def add(self, endpoint: Endpoint) -> None:
        """Add an endpoint."""
        self._endpoints.append(endpoint)

    def route(
        self,
        method: str,
        path: str,
        *,
        min_role: Role | None,
        feature: Feature | None = None,
        statuses: tuple[int, ...] | None = None,
        media_type: str = JSON,
        replay: Replay | None = None,
        prefetch: Prefetch | None = None,
        waits: bool = False,
        audited: bool = True,
        documented: bool = True,
        alternatives: Mapping[str, type[BaseModel]] | None = None,
        event: type[BaseModel] | None = None,
        even_unpaid: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler.

        Args:
            method: `GET`, `POST`, …
            path: as the gateway writes it, with `{names}`.
            min_role: the lowest role with access; None for routes without a token.
            feature: the feature that a change needs.
            statuses: the statuses of successful responses; by default the method's usual one.
            media_type: of successful responses.
            replay: for a POST that takes an Idempotency-Key.
            prefetch: for a route where each read counts.
            waits: for a route that responds to `Prefer: wait`.
            audited: False for changes that are records themselves and frequent.
            documented: False for the second of two methods with one handler.
            alternatives: the models of further media types of successful responses.
            event: the type of one event of a stream, for the OpenAPI document.
            even_unpaid: True for the routes with which a tenant ends its suspension by billing.
        """

        def register(handler: Handler) -> Handler:
            endpoint = Endpoint(
                route=Route(method, path, min_role, feature),
                handler=handler,
                statuses=statuses or (_DEFAULT_STATUS.get(method, 200),),
                query=query_model(handler),
                media_type=media_type,
                replay=replay,
                prefetch=prefetch,
                waits=waits,
                audited=audited and method != "GET",
                documented=documented,
                alternatives=alternatives or {},
                event=event,
                even_unpaid=even_unpaid,
            )
            self.add(endpoint)
            return handler

        return register
