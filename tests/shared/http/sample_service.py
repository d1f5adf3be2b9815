"""The application of a sample service that stores things in memory."""

from dataclasses import dataclass, field
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field

from shared.declaration import Slice, Table
from shared.errors import NotFound
from shared.http.app import HttpApp
from shared.http.call import Caller, CurrentCall
from shared.http.pagination import PageQuery, cursor_of, page_after
from shared.http.responses import ListResponse, ResponseBody, created, no_content, ok
from shared.preconditions import check_if_match
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from shared.tenancy.context import Allowance, TenantAccess, TenantContext
from shared.tenancy.permissions import Feature, Role

SLICE = Slice("THINGS", Table.ENTITIES)
OPEN = "/v1/open"
THINGS = "/v1/tenants/{tenant_id}/things"
THING = f"{THINGS}/{{thing_id}}"
ERRORS = "/v1/tenants/{tenant_id}/errors"


class Part(BaseModel):
    """A part of a thing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    size: int


class NewThing(BaseModel):
    """The request to create a thing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=20)]
    part: Part | None = None


class ThingsQuery(PageQuery):
    """The query of a list of things."""

    kind: str | None = None
    start: Annotated[str | None, Field(alias="from")] = None


class ThingDocument(BaseModel):
    """A thing."""

    thing_id: str
    name: str
    comment: str | None = None


class ThingResponse(ResponseBody):
    """The response with one thing."""

    thing: ThingDocument


class ThingsResponse(ListResponse):
    """A page of things."""

    things: list[ThingDocument]


class OpenResponse(ResponseBody):
    """A response that needs no token."""

    status: str


@dataclass
class Service:
    """The state of the service, and the recorded calls of its application."""

    status: str = "active"
    features: tuple[str, ...] = ("agents",)
    raises: Exception | None = None
    store: Store | None = None
    thing_names: list[str] = field(default_factory=list[str])
    """The names of the things. The id of a thing is its index."""
    callers: list[TenantContext] = field(default_factory=list[TenantContext])

    def access(self, tenant_id: str) -> TenantAccess:
        """Return the tenant's access."""
        return TenantAccess(
            tenant_id, 1, self.status, "pro", self.features, Allowance(1_000, 100_000, 1, overage=False)
        )

    def idempotency_store(self) -> Store:
        """Return the store of the idempotency records."""
        assert self.store is not None
        return self.store

    def find(self, thing_id: str) -> ThingDocument:
        """Return a thing."""
        if not thing_id.isdigit() or int(thing_id) >= len(self.thing_names):
            msg = "There is no such thing."
            raise NotFound(msg)
        return ThingDocument(thing_id=thing_id, name=self.thing_names[int(thing_id)])


def application(service: Service) -> HttpApp:
    """Return the application of a service."""
    app = HttpApp(access=service.access, store=service.idempotency_store)
    _add_reads(app, service)
    _add_changes(app, service)
    return app


def _add_reads(app: HttpApp, service: Service) -> None:
    @app.route("GET", OPEN, min_role=None)
    def get_open() -> Response[OpenResponse]:  # pyright: ignore[reportUnusedFunction]  # the route has it
        return ok(OpenResponse(status="healthy"))

    @app.route("GET", THINGS, min_role=Role.OBSERVER)
    def list_things(  # pyright: ignore[reportUnusedFunction]  # as above
        caller: Caller, query: Annotated[ThingsQuery, Query()]
    ) -> Response[ThingsResponse]:
        scope = (caller.tenant_id, "things", query.kind or "")
        start = int(cursor_of(query.token, *scope, form="[0-9]{1,6}") or 0)
        page = [
            service.find(str(number)) for number in range(start, min(start + query.limit, len(service.thing_names)))
        ]
        end = start + len(page)
        return ok(
            ThingsResponse(
                things=page, pagination=page_after(str(end) if end < len(service.thing_names) else None, *scope)
            )
        )

    @app.route("GET", THING, min_role=Role.OBSERVER)
    def get_thing(thing_id: str) -> Response[ThingResponse]:  # pyright: ignore[reportUnusedFunction]  # as above
        return ok(ThingResponse(thing=service.find(thing_id)), etag=1)

    @app.route("GET", ERRORS, min_role=Role.OBSERVER)
    def fail() -> Response[None]:  # pyright: ignore[reportUnusedFunction]  # as above
        assert service.raises is not None
        raise service.raises


def _add_changes(app: HttpApp, service: Service) -> None:
    def creation_response(caller: TenantContext, thing_id: str) -> Response[ThingResponse]:
        location = THING.format(tenant_id=caller.tenant_id, thing_id=thing_id)
        return created(ThingResponse(thing=service.find(thing_id)), location=location, etag=1)

    @app.route(
        "POST", THINGS, min_role=Role.DEVELOPER, feature=Feature.AGENTS, statuses=(201,), replay=creation_response
    )
    def create_thing(  # pyright: ignore[reportUnusedFunction]  # the route has it
        caller: Caller, call: CurrentCall, body: Annotated[NewThing, Body()]
    ) -> Response[ThingResponse]:
        thing_id = str(len(service.thing_names))
        if call.idempotency_key:
            transaction = Transaction(caller.tenant_id)
            call.idempotency_key.remember(transaction, SLICE, resource_id=thing_id)
            service.idempotency_store().commit(transaction)
        service.callers.append(caller)
        service.thing_names.append(body.name)
        return creation_response(caller, thing_id)

    @app.route("PUT", THING, min_role=Role.DEVELOPER, statuses=(204,))
    def update_thing(  # pyright: ignore[reportUnusedFunction]  # as above
        call: CurrentCall, thing_id: str, body: Annotated[NewThing, Body()]
    ) -> Response[None]:
        check_if_match(call.if_match, 1)
        service.thing_names[int(thing_id)] = body.name
        return no_content()
