"""The HTTP application of a function: routing, access and validation, then one form of responses."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from shared.edge import open_scope
from shared.errors import AinexusError
from shared.failures import facts_of
from shared.http.call import HttpScope
from shared.http.endpoint import Endpoint, latency_class
from shared.http.errors import error_response, from_validation
from shared.http.middleware import MIDDLEWARES, Exchange, Gateway, chain, no_such_route
from shared.http.request import JSON, Request
from shared.http.router import Router
from shared.metrics import CLIENT_ERRORS, LATENCY, REQUESTS, SERVER_ERRORS
from shared.observability import logger, report, trace_of_caller
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess

EXPOSED_HEADERS = (
    "ETag,Location,Retry-After,Idempotent-Replayed,Preference-Applied,RateLimit,RateLimit-Policy,X-Request-Id"
)


class HttpApp(Router):
    """The HTTP API of one function: all routes of its routers. Lambda calls the object itself.

    Args:
        routers: the routes, by capability.
        access: reads the service's copy of a tenant's state; called before every change.
        store: opens the slice that holds the service's idempotency records.
    """

    def __init__(
        self,
        *routers: Router,
        access: Callable[[str], TenantAccess] | None = None,
        store: Callable[[], Store] | None = None,
    ) -> None:
        super().__init__()
        self.resolver = APIGatewayRestResolver(enable_validation=True)
        self.resolver.exception_handler(RequestValidationError)(_raise_validation)
        self.resolver.not_found(_raise_not_found)  # pyright: ignore[reportUnknownMemberType]  # untyped there
        self._access = access
        self._store = store
        self._by_key: dict[tuple[str, str], Endpoint] = {}
        self._handle = chain(MIDDLEWARES, self._resolve)
        for router in routers:
            for endpoint in router.endpoints:
                self.add(endpoint)

    def add(self, endpoint: Endpoint) -> None:
        """Serve an endpoint."""
        super().add(endpoint)
        self._by_key[endpoint.key] = endpoint
        rule = endpoint.route.path.replace("{", "<").replace("}", ">")
        self.resolver.route(rule, endpoint.route.method, summary=endpoint.summary)(endpoint.handler)

    def __call__(self, event: Gateway, context: Any = None) -> Gateway:  # noqa: ANN401 — Lambda's own object
        """Respond to one request of the gateway."""
        since = time.perf_counter()
        request = Request.read(event)
        endpoint = self._by_key.get((request.method, request.resource))
        trace_id = trace_of_caller(request.headers.get("traceparent"))
        with open_scope(context, kind=HttpScope, trace_id=trace_id, requested_at_ms=request.received_at_ms):
            try:
                response = self._respond(event, context, request, endpoint)
            except Exception as error:  # noqa: BLE001 — the edge: every failure has the one form of errors
                response = _error(error, request_id=request.request_id)
            response = _finish(response, request)
            _report(request, endpoint, response["statusCode"], took_ms=(time.perf_counter() - since) * 1000)
        return response

    def _respond(self, event: Gateway, context: Any, request: Request, endpoint: Endpoint | None) -> Gateway:  # noqa: ANN401 — as above
        if endpoint is None:
            raise no_such_route()
        exchange = Exchange(
            event=event,
            context=context,
            request=request,
            endpoint=endpoint,
            access_of=self._access,
            store=self._store,
        )
        return self._handle(exchange)

    def _resolve(self, exchange: Exchange) -> Gateway:
        return self.resolver.resolve(exchange.event, exchange.context)


def _report(request: Request, endpoint: Endpoint | None, status: int, *, took_ms: float) -> None:
    """Write one log line with the request's metrics."""
    report(
        "answered",
        {
            REQUESTS: 1,
            LATENCY: round(took_ms, 1),
            CLIENT_ERRORS: int(400 <= status < 500),
            SERVER_ERRORS: int(status >= 500),
        },
        request_id=request.request_id,
        method=request.method,
        route=request.resource,
        route_class=latency_class(endpoint, request).value,
        status=status,
    )


def _raise_validation(error: RequestValidationError) -> Response[Any]:
    raise from_validation(error.errors())


def _raise_not_found(error: Exception) -> Response[Any]:
    raise no_such_route() from error


def _finish(response: Gateway, request: Request) -> Gateway:
    headers: dict[str, list[str]] = response.setdefault("multiValueHeaders", {})
    headers["X-Request-Id"] = [request.request_id]
    headers |= cors_headers(request.headers.get("origin"))
    response["statusCode"] = int(response["statusCode"])
    response["body"] = response.get("body") or ""
    return response


def cors_headers(origin: str | None) -> dict[str, list[str]]:
    """Return the headers that let a browser's page read a response; origins that are not listed get none."""
    allowed = json.loads(os.environ.get("CORS_ORIGINS", "[]"))
    if origin is None or origin not in allowed:
        return {"Vary": ["Origin"]}
    return {
        "Access-Control-Allow-Origin": [origin],
        "Access-Control-Expose-Headers": [EXPOSED_HEADERS],
        "Vary": ["Origin"],
    }


def _error(error: Exception, *, request_id: str) -> Gateway:
    if not isinstance(error, AinexusError):
        logger.error("failed", request_id=request_id, **facts_of(error))
    status, body, headers = error_response(error, request_id=request_id)
    return {
        "statusCode": status,
        "body": json.dumps(body),
        "isBase64Encoded": False,
        "multiValueHeaders": {
            "Content-Type": [JSON],
            **{name: [value] for name, value in headers.items()},
        },
    }
