"""How often each route may be asked, by all callers together: a flood on one must not take what the others need."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from aws_cdk import aws_apigateway as apigateway

from infra.core.functions import API
from infra.mesh import Mesh
from shared.declaration import Route


class RouteClass(StrEnum):
    """What a route is for."""

    READ = "read"
    WRITE = "write"
    WORK = "work"
    """What a tenant's programs do all the time: runs, and uses that they report."""
    STREAM = "stream"
    """Holds a function for as long as it is open."""
    WEBHOOK = "webhook"
    ADMIN = "admin"
    OPEN = "open"
    """Asks for no token."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """Of one route."""

    per_s: int
    burst: int


THROTTLES = {
    RouteClass.READ: Throttle(1000, 2000),
    RouteClass.WRITE: Throttle(200, 400),
    RouteClass.WORK: Throttle(1000, 2000),
    RouteClass.STREAM: Throttle(200, 400),
    RouteClass.WEBHOOK: Throttle(100, 400),
    RouteClass.ADMIN: Throttle(50, 100),
    RouteClass.OPEN: Throttle(100, 200),
}
"""All lie below the stage's own limit, which holds for what is not listed (preflight requests)."""

_WORK = frozenset({"/runs", "/tool-outputs", "/usage/events"})


def class_of(route: Route) -> RouteClass:
    """The class of a route, by its path, its method and whether it asks for a token."""
    below = route.path.removeprefix("/v1")
    if below.startswith("/admin/"):
        return RouteClass.ADMIN
    if below.startswith("/webhooks/"):
        return RouteClass.WEBHOOK
    if route.least is None:
        return RouteClass.OPEN
    if below.endswith("/stream"):
        return RouteClass.STREAM
    if route.method == "GET":
        return RouteClass.READ
    return RouteClass.WORK if any(below.endswith(end) for end in _WORK) else RouteClass.WRITE


def throttles(mesh: Mesh) -> Iterator[apigateway.CfnStage.MethodSettingProperty]:
    """The stage's settings of each route; what these leave out, a route would not take from the stage's."""
    for route in (*API.routes, *(route for service in mesh.services for route in service.routes)):
        throttle = THROTTLES[class_of(route)]
        yield apigateway.CfnStage.MethodSettingProperty(
            http_method=route.method,
            resource_path="/" + route.path.replace("/", "~1"),
            metrics_enabled=True,
            throttling_burst_limit=throttle.burst,
            throttling_rate_limit=throttle.per_s,
        )
