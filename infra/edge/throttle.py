"""Rate limits of each route for all callers together, so that a flood on one route does not block the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from aws_cdk import aws_apigateway as apigateway

from infra.mesh import Mesh
from services.core.service import API
from shared.declaration import Route


class RouteClass(StrEnum):
    """The class of a route, which determines its rate limit."""

    READ = "read"
    WRITE = "write"
    WORK = "work"
    """Constant traffic of a tenant's programs: runs and reported usage."""
    STREAM = "stream"
    """Occupies a function while it is open."""
    WEBHOOK = "webhook"
    ADMIN = "admin"
    OPEN = "open"
    """Needs no token."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """The rate limit of one route."""

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
"""All are below the stage's own limit, which applies to all other requests, such as preflight requests."""

_WORK = frozenset({"/runs", "/tool-outputs", "/usage/events"})


def class_of(route: Route) -> RouteClass:
    """Classify a route by its path, its method and whether it needs a token."""
    below = route.path.removeprefix("/v1")
    if below.startswith("/admin/"):
        return RouteClass.ADMIN
    if below.startswith("/webhooks/"):
        return RouteClass.WEBHOOK
    if route.min_role is None:
        return RouteClass.OPEN
    if below.endswith("/stream"):
        return RouteClass.STREAM
    if route.method == "GET":
        return RouteClass.READ
    return RouteClass.WORK if any(below.endswith(end) for end in _WORK) else RouteClass.WRITE


def throttles(mesh: Mesh) -> Iterator[apigateway.CfnStage.MethodSettingProperty]:
    """Return the stage's settings of each route. A route does not inherit missing ones from the stage."""
    for route in (*API.routes, *(route for service in mesh.services for route in service.routes)):
        throttle = THROTTLES[class_of(route)]
        yield apigateway.CfnStage.MethodSettingProperty(
            http_method=route.method,
            resource_path="/" + route.path.replace("/", "~1"),
            metrics_enabled=True,
            throttling_burst_limit=throttle.burst,
            throttling_rate_limit=throttle.per_s,
        )
