"""The scopes of API keys name the parts of the API."""

from infra.services import SERVICES
from shared.tenancy.permissions import RESOURCES, Role

KEYLESS = "api-keys"
"""The part of the API that no API key can call."""


def test_every_part_of_a_tenants_api_has_a_scope() -> None:
    routes = [
        route
        for service in SERVICES
        for route in service.routes
        if route.min_role not in {None, Role.PLATFORM_ADMIN} and "{tenant_id}" in route.path
    ]
    parts = {route.path.removeprefix("/v1/tenants/{tenant_id}").strip("/").partition("/")[0] for route in routes}
    assert {part or "tenant" for part in parts} == {*RESOURCES, KEYLESS}
    assert {route.path for route in routes if route.scope is None} == {
        route.path for route in routes if f"/{KEYLESS}" in route.path
    }
