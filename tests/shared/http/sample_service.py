"""The application of a service that keeps things in memory."""

from dataclasses import dataclass, field
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field

from shared.declaration import Slice, Table
from shared.errors import NotFound
from shared.http.answers import Answer, ListAnswer, created, no_content, ok
from shared.http.app import HttpApp
from shared.http.call import Caller, CurrentCall
from shared.http.etag import check_if_match
from shared.http.pagination import PageQuery, page_after, place_of
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
    """What to make."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=20)]
    part: Part | None = None


class ThingsQuery(PageQuery):
    """Which things to list."""

    kind: str | None = None
    start: Annotated[str | None, Field(alias="from")] = None


class Shown(BaseModel):
    """A thing."""

    thing_id: str
    name: str
    comment: str | None = None


class ThingAnswer(Answer):
    """One thing."""

    thing: Shown


class ThingsAnswer(ListAnswer):
    """A page of things."""

    things: list[Shown]


class OpenAnswer(Answer):
    """What everybody may see."""

    status: str


@dataclass
class Service:
    """The service's state, and what its application was made to do."""

    status: str = "active"
    features: tuple[str, ...] = ("agents",)
    raises: Exception | None = None
    store: Store | None = None
    made: list[str] = field(default_factory=list[str])
    """The names of the things; the id is the place."""
    callers: list[TenantContext] = field(default_factory=list[TenantContext])

    def access(self, tenant_id: str) -> TenantAccess:
        """What is known of the tenant."""
        return TenantAccess(
            tenant_id, 1, self.status, "pro", self.features, Allowance(1_000, 100_000, 1, overage=False)
        )

    def kept(self) -> Store:
        """Where the idempotency records lie."""
        assert self.store is not None
        return self.store

    def show(self, thing_id: str) -> Shown:
        """A thing."""
        if not thing_id.isdigit() or int(thing_id) >= len(self.made):
            msg = "There is no such thing."
            raise NotFound(msg)
        return Shown(thing_id=thing_id, name=self.made[int(thing_id)])


def application(service: Service) -> HttpApp:
    """The application over this state."""
    app = HttpApp(access=service.access, store=service.kept)
    _add_reads(app, service)
    _add_changes(app, service)
    return app


def _add_reads(app: HttpApp, service: Service) -> None:
    @app.route("GET", OPEN, least=None)
    def get_open() -> Response[OpenAnswer]:  # pyright: ignore[reportUnusedFunction]  # the route has it
        return ok(OpenAnswer(status="healthy"))

    @app.route("GET", THINGS, least=Role.OBSERVER)
    def list_things(  # pyright: ignore[reportUnusedFunction]  # as above
        caller: Caller, query: Annotated[ThingsQuery, Query()]
    ) -> Response[ThingsAnswer]:
        scope = (caller.tenant_id, "things", query.kind or "")
        start = int(place_of(query.token, *scope, form="[0-9]{1,6}") or 0)
        page = [service.show(str(number)) for number in range(start, min(start + query.limit, len(service.made)))]
        end = start + len(page)
        return ok(
            ThingsAnswer(things=page, pagination=page_after(str(end) if end < len(service.made) else None, *scope))
        )

    @app.route("GET", THING, least=Role.OBSERVER)
    def get_thing(thing_id: str) -> Response[ThingAnswer]:  # pyright: ignore[reportUnusedFunction]  # as above
        return ok(ThingAnswer(thing=service.show(thing_id)), etag=1)

    @app.route("GET", ERRORS, least=Role.OBSERVER)
    def fail() -> Response[None]:  # pyright: ignore[reportUnusedFunction]  # as above
        assert service.raises is not None
        raise service.raises


def _add_changes(app: HttpApp, service: Service) -> None:
    def made(caller: TenantContext, thing_id: str) -> Response[ThingAnswer]:
        location = THING.format(tenant_id=caller.tenant_id, thing_id=thing_id)
        return created(ThingAnswer(thing=service.show(thing_id)), location=location, etag=1)

    @app.route("POST", THINGS, least=Role.DEVELOPER, feature=Feature.AGENTS, statuses=(201,), replay=made)
    def make(  # pyright: ignore[reportUnusedFunction]  # the route has it
        caller: Caller, call: CurrentCall, body: Annotated[NewThing, Body()]
    ) -> Response[ThingAnswer]:
        thing_id = str(len(service.made))
        if call.once:
            transaction = Transaction(caller.tenant_id)
            call.once.remember(transaction, SLICE, resource_id=thing_id)
            service.kept().commit(transaction)
        service.callers.append(caller)
        service.made.append(body.name)
        return made(caller, thing_id)

    @app.route("PUT", THING, least=Role.DEVELOPER, statuses=(204,))
    def change(  # pyright: ignore[reportUnusedFunction]  # as above
        call: CurrentCall, thing_id: str, body: Annotated[NewThing, Body()]
    ) -> Response[None]:
        check_if_match(call.if_match, 1)
        service.made[int(thing_id)] = body.name
        return no_content()
