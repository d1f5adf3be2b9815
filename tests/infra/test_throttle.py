"""Every route has the throttle of its class, in the format of the stage."""

import pytest

from infra.edge.throttle import THROTTLES, RouteClass, class_of
from infra.profile import PROFILES
from infra.services import SERVICES
from services.core.service import API
from shared.declaration import Route
from shared.tenancy.permissions import Role
from tests.infra.templates import Templates

ROUTES = (*API.routes, *(route for service in SERVICES for route in service.routes))
RUNS = "/v1/tenants/{tenant_id}/runs"


class TestClassOf:
    @pytest.mark.parametrize(
        ("method", "path", "min_role", "expected"),
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
    def test_depends_on_path_method_and_authorization(
        self, method: str, path: str, min_role: Role | None, expected: RouteClass
    ) -> None:
        assert class_of(Route(method, path, min_role)) is expected

    def test_every_class_has_routes(self) -> None:
        assert {class_of(route) for route in ROUTES} == set(RouteClass) == set(THROTTLES)

    def test_public_routes_have_public_classes(self) -> None:
        unchecked = {class_of(route) for route in ROUTES if route.min_role is None}
        assert unchecked == {RouteClass.OPEN, RouteClass.WEBHOOK}


class TestStage:
    def test_has_the_throttle_of_every_route(self, mesh: Templates) -> None:
        first, *others = mesh.one("AWS::ApiGateway::Stage")["MethodSettings"]
        assert (first["HttpMethod"], first["ResourcePath"]) == ("*", "/*")
        found = {(one["HttpMethod"], one["ResourcePath"].replace("~1", "/")[1:]) for one in others}
        assert found == {(route.method, route.path) for route in ROUTES}
        assert len(others) == len(found)

    def test_is_above_that_of_every_route(self) -> None:
        for profile in PROFILES.values():
            assert max(one.per_s for one in THROTTLES.values()) <= profile.throttle_rate
            assert max(one.burst for one in THROTTLES.values()) <= profile.throttle_burst
