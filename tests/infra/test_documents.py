"""The published API documents agree with the code and with the product's specification."""

import re
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel, RootModel

from infra.core.document import openapi
from infra.core.refusals import REFUSALS
from infra.core.roles import may_call, roles_markdown
from infra.documents import FOLDER, documents
from infra.documents.asyncapi import asyncapi
from infra.services import SERVICES
from services.core.service import API
from shared.declaration import Route
from shared.events.catalog import CATALOG
from shared.http.errors import STATUSES
from shared.tenancy.permissions import Role
from tests.infra.product_routes import ExpectedRoute, product_routes, without_names

PROJECTS = "/v1/tenants/{tenant_id}/projects"
_UPDATES = {"put", "patch"}
EVERY_ROUTE = [("core", route) for route in API.routes] + [
    (service.name, route) for service in SERVICES for route in service.routes
]


@pytest.mark.parametrize("name", documents())
def test_document_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == documents()[name], "run `make docs`"


class TestRoles:
    @pytest.mark.parametrize(("service", "route"), EVERY_ROUTE, ids=lambda one: getattr(one, "path", one))
    def test_match_the_specification(self, service: str, route: Route) -> None:
        expected = product_routes()[(route.method, without_names(route.path))]
        assert ExpectedRoute(service, route.min_role, route.feature) == expected

    def test_each_role_includes_the_next(self) -> None:
        for _, route in EVERY_ROUTE:
            may = [may_call(role, route) for role in Role]
            assert may == sorted(may, reverse=True)

    def test_a_wrong_role_is_detected(self) -> None:
        wrong = Route("POST", "/v1/tenants/{tenant_id}/runs", Role.ANALYST)
        expected = product_routes()[("POST", without_names(wrong.path))]
        assert ExpectedRoute("runs", wrong.min_role, wrong.feature) != expected

    def test_page_has_a_row_for_every_route(self) -> None:
        rows = [line for line in roles_markdown(SERVICES).splitlines() if "`/v1" in line]
        assert len(rows) == len(EVERY_ROUTE)

    def test_page_lists_permitted_roles(self) -> None:
        [row] = [line for line in roles_markdown(SERVICES).splitlines() if line.startswith(f"| POST | `{PROJECTS}`")]
        assert [cell.strip() for cell in row.split("|")[3:8]] == ["yes", "yes", "yes", "", ""]


class TestOpenApi:
    def test_has_every_route_with_its_role_and_feature(self) -> None:
        routes = {
            (method.upper(), path): (operation["x-least-role"], operation["x-feature"])
            for path, operations in openapi(SERVICES, with_twins=True)["paths"].items()
            for method, operation in operations.items()
        }
        assert routes == {(route.method, route.path): (route.min_role, route.feature) for _, route in EVERY_ROUTE}

    def test_documents_one_of_two_methods_with_one_handler(self) -> None:
        both = {
            path
            for path, operations in openapi(SERVICES, with_twins=True)["paths"].items()
            if {*operations} >= _UPDATES
        }
        document = openapi(SERVICES)["paths"]
        assert both
        assert [path for path, operations in document.items() if {*operations} >= _UPDATES] == []
        for path in both:
            [method] = _UPDATES & {*document[path]}
            [other] = _UPDATES - {method}
            assert f"`{other.upper()}` does the same." in document[path][method]["description"]

    def test_no_field_of_a_body_has_a_default(self) -> None:
        schemas = openapi(SERVICES)["components"]["schemas"]
        assert [name for name, schema in schemas.items() if _has_default(schema)] == []
        assert "The default is `120`." in schemas["AgentConfig"]["properties"]["timeout_s"]["description"]

    def test_fields_that_a_response_always_contains_are_required(self) -> None:
        schemas = openapi(SERVICES)["components"]["schemas"]
        assert {*schemas["RunUsage"]["required"]} == {*schemas["RunUsage"]["properties"]}
        assert "requestId" in schemas["RunResponse"]["required"]
        assert "agent_id" not in schemas["DailyUsage"]["required"]
        assert "required" not in schemas["AgentPatch"]

    def test_every_operation_has_texts_and_a_known_tag(self) -> None:
        document = openapi(SERVICES)
        tags = {tag["name"] for tag in document["tags"]}
        for operation in _operations(document):
            assert operation["summary"]
            assert len(operation["description"]) > len(operation["summary"])
            assert {*operation["tags"]} <= tags

    def test_operation_ids_are_unique_and_readable(self) -> None:
        names = [operation["operationId"] for operation in _operations(openapi(SERVICES))]
        assert len(names) == len(set(names))
        assert [name for name in names if "__" in name or len(name) > 40] == []

    def test_describes_fields(self) -> None:
        cost = openapi(SERVICES)["components"]["schemas"]["RunCall"]["properties"]["cost_nano_usd"]
        text = "By the config's `price`, otherwise by the provider's list price; null if unknown."
        assert cost["description"] == text

    def test_every_body_reads_the_docstrings_of_its_fields(self) -> None:
        models = [model for model in _body_models() if not model.model_config.get("use_attribute_docstrings")]
        assert models == []

    def test_lists_every_error_code(self) -> None:
        document = openapi(SERVICES)["components"]
        documented = {
            (status, code)
            for status, response in document["responses"].items()
            for code in response["content"]["application/json"]["examples"]
        }
        gateway = {(str(refusal.status), refusal.error) for refusal in REFUSALS}
        ours = {(str(status), code) for _, status, code in STATUSES}
        assert gateway | ours | {("409", "LimitReached"), ("429", "LimitReached")} == documented
        assert document["schemas"]["ErrorCode"]["enum"] == sorted({code for _, code in documented})


class TestRoutes:
    def test_page_has_every_route(self) -> None:
        headings = {line for line in documents()["api/routes.md"].splitlines() if line.startswith("### ")}
        documented = {
            f"### {method.upper()} {path}"
            for path, operations in openapi(SERVICES)["paths"].items()
            for method in operations
        }
        assert documented <= headings


class TestEvents:
    def test_page_has_every_event_with_publisher_and_occasion(self) -> None:
        page = documents()["api/events.md"]
        for kind in CATALOG:
            section = page.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
            assert re.search(r"^Published by \w+ when .+\.$", section, re.MULTILINE), kind
            assert "```json" in section

    def test_asyncapi_has_publishers_and_consumers(self) -> None:
        operations = asyncapi(SERVICES)["operations"].values()
        pairs = {(one["action"], one["channel"]["$ref"].removeprefix("#/channels/")) for one in operations}
        assert pairs == {("send", kind) for service in SERVICES for kind in service.emits} | {
            ("receive", kind) for service in SERVICES for kind in service.consumes
        }

    def test_asyncapi_examples_match_their_schema(self) -> None:
        document = asyncapi(SERVICES)
        for message in document["components"]["messages"].values():
            schema = {**message["payload"], "components": document["components"]}
            [example] = message["examples"]
            jsonschema_rs.validator_for(schema).validate(example["payload"])


def _has_default(schema: dict[str, Any]) -> bool:
    return any("default" in field for field in schema.get("properties", {}).values())


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for operations in document["paths"].values() for operation in operations.values()]


def _body_models() -> list[type[BaseModel]]:
    """Return the models of the document's schemas. Building the document imports all of them."""
    names = {*openapi(SERVICES)["components"]["schemas"]}
    return [
        model
        for model in _subclasses(BaseModel)
        if model.__name__ in names and "services" in model.__module__ and not issubclass(model, RootModel)
    ]


def _subclasses(model: type[BaseModel]) -> list[type[BaseModel]]:
    return [one for child in model.__subclasses__() for one in (child, *_subclasses(child))]
