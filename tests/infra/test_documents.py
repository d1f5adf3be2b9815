"""What is published of the API is what the code says, and what the product asks for."""

import pytest

from infra.core.document import openapi
from infra.core.functions import API
from infra.core.roles import may_call, roles_markdown
from infra.documents import FOLDER, documents
from infra.services import SERVICES
from shared.declaration import Route
from shared.tenancy.permissions import Role
from tests.infra.product_routes import Asked, product_routes, without_names

PROJECTS = "/v1/tenants/{tenant_id}/projects"
EVERY_ROUTE = [("core", route) for route in API.routes] + [
    (service.name, route) for service in SERVICES for route in service.routes
]


@pytest.mark.parametrize("name", documents())
def test_is_written(name: str) -> None:
    assert (FOLDER / name).read_text() == documents()[name], "run `make docs`"


class TestRoles:
    @pytest.mark.parametrize(("service", "route"), EVERY_ROUTE, ids=lambda one: getattr(one, "path", one))
    def test_are_those_of_the_product(self, service: str, route: Route) -> None:
        asked = product_routes()[(route.method, without_names(route.path))]
        assert Asked(service, route.least, route.feature) == asked

    def test_each_includes_the_next(self) -> None:
        for _, route in EVERY_ROUTE:
            may = [may_call(role, route) for role in Role]
            assert may == sorted(may, reverse=True)

    def test_of_another_route_are_seen(self) -> None:
        wrong = Route("POST", "/v1/tenants/{tenant_id}/runs", Role.ANALYST)
        asked = product_routes()[("POST", without_names(wrong.path))]
        assert Asked("runs", wrong.least, wrong.feature) != asked

    def test_the_page_has_a_row_for_every_route(self) -> None:
        rows = [line for line in roles_markdown(SERVICES).splitlines() if "`/v1" in line]
        assert len(rows) == len(EVERY_ROUTE)

    def test_the_page_says_who_may(self) -> None:
        [row] = [line for line in roles_markdown(SERVICES).splitlines() if line.startswith(f"| POST | `{PROJECTS}`")]
        assert [cell.strip() for cell in row.split("|")[3:8]] == ["yes", "yes", "yes", "", ""]


class TestOpenApi:
    def test_knows_every_route_with_its_role_and_feature(self) -> None:
        said = {
            (method.upper(), path): (operation["x-least-role"], operation["x-feature"])
            for path, operations in openapi(SERVICES)["paths"].items()
            for method, operation in operations.items()
        }
        assert said == {(route.method, route.path): (route.least, route.feature) for _, route in EVERY_ROUTE}
