"""Throttles: every route has one of its class, as the stage writes it."""

import pytest

from infra.core.functions import API
from infra.edge.throttle import THROTTLES, RouteClass, class_of
from infra.profile import PROFILES
from infra.services import SERVICES
from shared.declaration import Route
from shared.tenancy.permissions import Role
from tests.infra.templates import Templates

ROUTES = (*API.routes, *(route for service in SERVICES for route in service.routes))
RUNS = "/v1/tenants/{tenant_id}/runs"


class TestClassOf:
    @pytest.mark.parametrize(
        ("method", "path", "least", "wanted"),
        [
            ("GET", RUNS, Role.OBSERVER, RouteClass.READ),
            ("POST", RUNS, Role.DEVELOPER, RouteClass.WORK),
            ("PATCH", f"{RUNS}/{{run_id}}", Role.DEVELOPER, RouteClass.WRITE),
            ("GET", f"{RUNS}/{{run_id}}/stream", Role.OBSERVER, RouteClass.STREAM),
            ("POST", "/v1/tenants/{tenant_id}/usage/events", Role.DEVELOPER, RouteClass.WORK),
            ("GET", "/v1/tenants/{tenant_id}/usage/events", Role.ANALYST, RouteClass.READ),
            ("GET", "/v1/admin/tenants", Role.PLATFORM_ADMIN, RouteClass.ADMIN),
            ("POST", "/v1/webhooks/stripe", None, RouteClass.WEBHOOK),
            ("GET", "/v1/health", None, RouteClass.OPEN),
        ],
    )
    def test_goes_by_path_method_and_token(
        self, method: str, path: str, least: Role | None, wanted: RouteClass
    ) -> None:
        assert class_of(Route(method, path, least)) is wanted

    def test_has_routes_of_every_class(self) -> None:
        assert {class_of(route) for route in ROUTES} == set(RouteClass) == set(THROTTLES)

    def test_lets_nobody_without_a_token_do_what_needs_one(self) -> None:
        unchecked = {class_of(route) for route in ROUTES if route.least is None}
        assert unchecked == {RouteClass.OPEN, RouteClass.WEBHOOK}


class TestStage:
    def test_has_the_throttle_of_every_route(self, mesh: Templates) -> None:
        first, *others = mesh.one("AWS::ApiGateway::Stage")["MethodSettings"]
        assert (first["HttpMethod"], first["ResourcePath"]) == ("*", "/*")
        found = {(one["HttpMethod"], one["ResourcePath"].replace("~1", "/")[1:]) for one in others}
        assert found == {(route.method, route.path) for route in ROUTES}
        assert len(others) == len(found)

    def test_lies_above_that_of_every_route(self) -> None:
        for profile in PROFILES.values():
            assert max(one.per_s for one in THROTTLES.values()) <= profile.throttle_rate
            assert max(one.burst for one in THROTTLES.values()) <= profile.throttle_burst
