"""What is published of the API is what the code says, and what the product asks for."""

import re
from typing import Any

import jsonschema_rs
import pytest

from infra.core.document import openapi
from infra.core.functions import API
from infra.core.refusals import REFUSALS
from infra.core.roles import may_call, roles_markdown
from infra.documents import FOLDER, documents
from infra.documents.asyncapi import asyncapi
from infra.services import SERVICES
from shared.declaration import Route
from shared.events.catalogue import CATALOGUE
from shared.http.errors import STATUSES
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

    def test_says_of_every_route_what_it_does_and_whose_it_is(self) -> None:
        said = openapi(SERVICES)
        tags = {tag["name"] for tag in said["tags"]}
        for operation in _operations(said):
            assert operation["summary"]
            assert len(operation["description"]) > len(operation["summary"])
            assert {*operation["tags"]} <= tags

    def test_names_every_operation_once_and_plainly(self) -> None:
        names = [operation["operationId"] for operation in _operations(openapi(SERVICES))]
        assert len(names) == len(set(names))
        assert [name for name in names if "__" in name or len(name) > 40] == []

    def test_has_the_words_that_stand_below_a_field(self) -> None:
        [cost] = [openapi(SERVICES)["components"]["schemas"]["Run"]["properties"]["cost_nano_usd"]]
        assert cost["description"] == "The provider's list price; null where it is not known."

    def test_lists_every_code_of_an_error(self) -> None:
        said = openapi(SERVICES)["components"]
        shown = {
            (status, code)
            for status, answer in said["responses"].items()
            for code in answer["content"]["application/json"]["examples"]
        }
        gateway = {(str(refusal.status), refusal.error) for refusal in REFUSALS}
        ours = {(str(status), code) for _, status, code in STATUSES}
        assert gateway | ours | {("409", "LimitReached"), ("429", "LimitReached")} == shown
        assert said["schemas"]["Error"]["properties"]["error"]["enum"] == sorted({code for _, code in shown})


class TestRoutes:
    def test_the_page_has_every_route(self) -> None:
        headings = {line for line in documents()["api/routes.md"].splitlines() if line.startswith("### ")}
        assert {f"### {route.method} {route.path}" for _, route in EVERY_ROUTE} <= headings


class TestEvents:
    def test_the_page_has_every_event_with_when_it_is_said(self) -> None:
        page = documents()["api/events.md"]
        for kind in CATALOGUE:
            section = page.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
            assert re.search(r"^Said by \w+, when .+\.$", section, re.MULTILINE), kind
            assert "```json" in section

    def test_asyncapi_says_who_speaks_and_who_hears(self) -> None:
        operations = asyncapi(SERVICES)["operations"].values()
        said = {(one["action"], one["channel"]["$ref"].removeprefix("#/channels/")) for one in operations}
        assert said == {("send", kind) for service in SERVICES for kind in service.emits} | {
            ("receive", kind) for service in SERVICES for kind in service.consumes
        }

    def test_asyncapi_has_examples_that_keep_their_schema(self) -> None:
        said = asyncapi(SERVICES)
        for message in said["components"]["messages"].values():
            schema = {**message["payload"], "components": said["components"]}
            [example] = message["examples"]
            jsonschema_rs.validator_for(schema).validate(example["payload"])


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for operations in document["paths"].values() for operation in operations.values()]
