"""The HTTP application of a service: who may call, then routing and validation, then one shape of answers.

The order matters: a caller that may not be here learns nothing about what a valid request looks like.
"""

import inspect
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel

from shared.deadline import invocation
from shared.declaration import Route
from shared.errors import AinexusError, Detail, InvalidRequest, NotFound, TooLarge
from shared.failures import facts_of
from shared.http.call import Call, current
from shared.http.errors import error_answer, from_validation
from shared.http.request import Request
from shared.metrics import CLIENT_ERRORS, LATENCY, REQUESTS, SERVER_ERRORS, Class
from shared.observability import continue_trace, logger, report, trace_of_caller, trace_of_invocation
from shared.storage.audit import Change, network_of, recorded
from shared.storage.credentials import acting_for
from shared.storage.idempotency import AlreadyDone, Once
from shared.storage.items import Key
from shared.storage.store import Store
from shared.tenancy.claims import InvalidToken, read_claims
from shared.tenancy.context import TenantAccess, TenantContext, bind, check_may_change
from shared.tenancy.permissions import Feature, Role
from shared.times import utc_now

EXPOSED_HEADERS = "ETag,Location,Retry-After,Idempotent-Replayed,Preference-Applied,X-Request-Id"

JSON = "application/json"
_USUAL_STATUS = {"POST": 201, "DELETE": 204}

Handler = TypeVar("Handler", bound=Callable[..., Any])
Ahead = Callable[[str, Request], Sequence[Key]]
"""The keys of what a request to a tenant's path will certainly read, to be read together."""
Replay = Callable[[TenantContext, str], Response[Any]]
"""Renders the answer to a request that was carried out before, from the id of what it made."""


class HttpApp:
    """Routes of one function. Lambda calls the object itself.

    Args:
        access: reads what the service knows of a tenant; asked before every change.
        store: where the service keeps its idempotency records.
    """

    def __init__(
        self,
        *,
        access: Callable[[str], TenantAccess] | None = None,
        store: Callable[[], Store] | None = None,
    ) -> None:
        self.resolver = APIGatewayRestResolver(enable_validation=True)
        self.resolver.exception_handler(RequestValidationError)(self._raise_validation)
        self.resolver.not_found(self._raise_not_found)  # pyright: ignore[reportUnknownMemberType]  # untyped there
        self._access = access
        self._store = store
        self.statuses: dict[tuple[str, str], tuple[int, ...]] = {}
        self.media_types: dict[tuple[str, str], str] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self.queries: dict[tuple[str, str], type[BaseModel]] = {}
        self._replays: dict[tuple[str, str], Replay] = {}
        self._aheads: dict[tuple[str, str], Ahead] = {}
        self._audited: set[tuple[str, str]] = set()
        self._even_unpaid: set[tuple[str, str]] = set()

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes, as they were registered."""
        return tuple(self._routes.values())

    def route(
        self,
        method: str,
        path: str,
        *,
        least: Role | None,
        feature: Feature | None = None,
        statuses: tuple[int, ...] | None = None,
        media_type: str = JSON,
        replay: Replay | None = None,
        ahead: Ahead | None = None,
        audited: bool = True,
        even_unpaid: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler.

        Args:
            method: `GET`, `POST`, …
            path: as the gateway writes it, with `{names}`.
            least: the least role that may call; None for routes without a token.
            feature: what the tenant must have for a change.
            statuses: of the answers when all went well, for the OpenAPI document; by default the method's usual one.
            media_type: of their bodies, for the same; errors are JSON always.
            replay: for a POST that takes an Idempotency-Key.
            ahead: what is read before anything is checked, for a route where each reading counts.
            audited: whether a change stands in the tenant's audit; not for what is itself a record, and comes often.
            even_unpaid: also in a tenant that billing has suspended: the ways out of that.
        """

        def register(handler: Handler) -> Handler:
            key = (method, path)
            self._routes[key] = Route(method, path, least, feature)
            self.statuses[key] = statuses or (_USUAL_STATUS.get(method, 200),)
            self.media_types[key] = media_type
            if query := _query_model(handler):
                self.queries[key] = query
            if replay:
                self._replays[key] = replay
            if ahead:
                self._aheads[key] = ahead
            if audited and method != "GET":
                self._audited.add(key)
            if even_unpaid:
                self._even_unpaid.add(key)
            rule = path.replace("{", "<").replace("}", ">")
            self.resolver.route(rule, method, summary=inspect.getdoc(handler))(handler)
            return handler

        return register

    def takes_idempotency_key(self, route: Route) -> bool:
        """Whether the same request sent twice to this route can be done once."""
        return (route.method, route.path) in self._replays

    def __call__(self, event: dict[str, Any], context: Any = None) -> dict[str, Any]:  # noqa: ANN401 — Lambda's own object
        """Answer one request of the gateway."""
        since = time.perf_counter()
        request = Request.read(event)
        continue_trace(trace_of_caller(request.headers.get("traceparent")) or trace_of_invocation())
        try:
            with invocation(context, requested_at_ms=request.received_at_ms):
                answer = self._answer(event, context, request)
        except Exception as error:  # noqa: BLE001 — the edge: whatever happens, the caller gets our shape
            answer = _error(error, request_id=request.request_id)
        answer = _finish(answer, request)
        self._report(request, answer["statusCode"], took_ms=(time.perf_counter() - since) * 1000)
        return answer

    def _report(self, request: Request, status: int, *, took_ms: float) -> None:
        """One line for each request, with its numbers."""
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
            route_class=self.class_of(request).value,
            status=status,
        )

    def class_of(self, request: Request) -> Class:
        """How quick the answer can be expected to be."""
        streams = self.media_types.get((request.method, request.resource), JSON) != JSON
        if streams or "wait" in request.headers.get("prefer", ""):
            return Class.WAIT
        return Class.READ if request.method == "GET" else Class.CHANGE

    def _answer(self, event: dict[str, Any], context: Any, request: Request) -> dict[str, Any]:  # noqa: ANN401 — as above
        route = self._routes.get((request.method, request.resource))
        if route is None:
            raise _no_such_route()
        caller = _bind(request, route)
        with acting_for(caller.tenant_id) if caller else nullcontext(), self._reading_ahead(request, caller):
            access = self._check(request, route, caller)
            call = Call(
                request_id=request.request_id,
                now=utc_now(),
                path=request.path,
                caller=caller,
                access=access,
                if_match=request.headers.get("if-match"),
                prefer=request.headers.get("prefer"),
            )
            token = current.set(replace(call, once=self._once(request, call)))
            try:
                with recorded(self._change(request, call)):
                    return self._resolve(event, context, replay=self._replays.get((route.method, route.path)))
            finally:
                current.reset(token)

    def _reading_ahead(self, request: Request, caller: TenantContext | None) -> AbstractContextManager[None]:
        ahead = self._aheads.get((request.method, request.resource))
        if ahead is None or caller is None or self._store is None or request.too_large:
            return nullcontext()
        return self._store().reading_ahead(ahead(caller.tenant_id, request))

    def _check(self, request: Request, route: Route, caller: TenantContext | None) -> TenantAccess | None:
        if request.too_large:
            msg = "The body is over 1 MiB."
            raise TooLarge(msg)
        if request.has_odd_path:
            raise _no_such_route()
        access = self._access(caller.tenant_id) if caller and route.method != "GET" and self._access else None
        if caller and access:
            even_unpaid = (route.method, route.path) in self._even_unpaid
            check_may_change(caller, access, route.feature, even_unpaid=even_unpaid)
        unknown = sorted(request.query_names - _names(self.queries.get((route.method, route.path))))
        if unknown:
            msg = "The request is not valid."
            raise InvalidRequest(msg, [Detail(name, "unknown query parameter") for name in unknown])
        request.check_json()
        return access

    def _change(self, request: Request, call: Call) -> Change | None:
        """What is to be recorded of the request, if it comes to change something."""
        if call.caller is None or (request.method, request.resource) not in self._audited:
            return None
        return Change(
            request_id=call.request_id,
            principal=call.caller.principal,
            role=call.caller.role,
            action=f"{request.method} {request.resource}",
            target=call.path,
            network=network_of(request.address),
            at=call.now,
        )

    def _once(self, request: Request, call: Call) -> Once | None:
        key = request.headers.get("idempotency-key")
        if key is None or call.caller is None or (request.method, request.resource) not in self._replays:
            return None
        return Once(
            tenant_id=call.caller.tenant_id,
            scope=f"{call.caller.principal} {request.method} {request.resource}",
            key=key,
            fingerprint=request.fingerprint,
            now=call.now,
        )

    def _resolve(self, event: dict[str, Any], context: Any, *, replay: Replay | None) -> dict[str, Any]:  # noqa: ANN401 — as above
        call = current.get()
        try:
            if call.once and self._store:
                call.once.ensure_new(self._store())
            return self.resolver.resolve(event, context)
        except AlreadyDone as done:
            if replay is None or call.caller is None:
                raise
            return _replayed(replay(call.caller, done.resource_id))

    def _raise_validation(self, error: RequestValidationError) -> Response[Any]:
        raise from_validation(error.errors())

    def _raise_not_found(self, error: Exception) -> Response[Any]:
        raise _no_such_route() from error


def _bind(request: Request, route: Route) -> TenantContext | None:
    if route.least is None:
        return None
    if not request.claims:
        msg = "Invalid authentication token"
        raise InvalidToken(msg)
    claims = read_claims(request.claims, audience=os.environ["USER_POOL_CLIENT_ID"])
    caller = bind(claims, path_tenant=request.path_tenant, least=route.least, request_id=request.request_id)
    logger.thread_safe_append_keys(tenant_id=caller.tenant_id)
    return caller


def _finish(answer: dict[str, Any], request: Request) -> dict[str, Any]:
    headers: dict[str, list[str]] = answer.setdefault("multiValueHeaders", {})
    headers["X-Request-Id"] = [request.request_id]
    headers |= cors_headers(request.headers.get("origin"))
    answer["statusCode"] = int(answer["statusCode"])
    answer["body"] = answer.get("body") or ""
    return answer


def cors_headers(origin: str | None) -> dict[str, list[str]]:
    """What a browser needs to let its page read the answer; nothing for origins that are not listed."""
    allowed = json.loads(os.environ.get("CORS_ORIGINS", "[]"))
    if origin is None or origin not in allowed:
        return {"Vary": ["Origin"]}
    return {
        "Access-Control-Allow-Origin": [origin],
        "Access-Control-Expose-Headers": [EXPOSED_HEADERS],
        "Vary": ["Origin"],
    }


def _query_model(handler: Callable[..., Any]) -> type[BaseModel] | None:
    """The query model that a handler declares."""
    for hint in get_type_hints(handler, include_extras=True).values():
        if get_origin(hint) is Annotated and any(isinstance(extra, Query) for extra in get_args(hint)[1:]):
            return get_args(hint)[0]
    return None


def _names(query: type[BaseModel] | None) -> frozenset[str]:
    """The parameters of a query model, as they are sent."""
    fields = query.model_fields if query else {}
    return frozenset(field.alias or name for name, field in fields.items())


def _error(error: Exception, *, request_id: str) -> dict[str, Any]:
    if not isinstance(error, AinexusError):
        logger.error("failed", request_id=request_id, **facts_of(error))
    status, body, headers = error_answer(error, request_id=request_id)
    return {
        "statusCode": status,
        "body": json.dumps(body),
        "isBase64Encoded": False,
        "multiValueHeaders": {
            "Content-Type": [JSON],
            **{name: [value] for name, value in headers.items()},
        },
    }


def _replayed(response: Response[Any]) -> dict[str, Any]:
    body = response.body.model_dump_json() if isinstance(response.body, BaseModel) else None
    headers = {"Content-Type": JSON, **response.headers, "Idempotent-Replayed": "true"}
    return {
        "statusCode": response.status_code,
        "body": body or "",
        "isBase64Encoded": False,
        "multiValueHeaders": {name: value if isinstance(value, list) else [value] for name, value in headers.items()},
    }


def _no_such_route() -> NotFound:
    return NotFound("There is no such path or method.")
