"""The OpenAPI document describes the application's responses."""

from typing import Any

import pytest

from shared.http.openapi import document
from tests.shared.http.sample_service import ERRORS, OPEN, THING, THINGS, Service, application


@pytest.fixture(name="payload", scope="module")
def make_document() -> dict[str, Any]:
    return document([application(Service())])


def parameters(payload: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """Return the parameters of an operation by name, or by the name of the referenced parameter."""
    found = payload["paths"][path][method]["parameters"]
    return {
        parameter.get("name") or parameter["$ref"].rpartition("/")[2]: parameter.get("schema") for parameter in found
    }


class TestResponses:
    def test_of_a_creation_have_a_location(self, payload: dict[str, Any]) -> None:
        created = payload["paths"][THINGS]["post"]["responses"]["201"]
        assert {"X-Request-Id", "Location", "ETag", "Idempotent-Replayed"} == {*created["headers"]}
        assert payload["components"]["headers"]["Location"]["required"] is True

    def test_with_status_204_have_no_content(self, payload: dict[str, Any]) -> None:
        assert "content" not in payload["paths"][THING]["put"]["responses"]["204"]

    def test_include_only_possible_errors(self, payload: dict[str, Any]) -> None:
        of_open = set(payload["paths"][OPEN]["get"]["responses"])
        of_read = set(payload["paths"][THINGS]["get"]["responses"])
        of_change = set(payload["paths"][THING]["put"]["responses"])
        assert of_read - of_open == {"401", "403"}
        assert of_change - of_read == {"204", "402", "409", "412", "413", "415"}


class TestParameters:
    def test_of_a_query_have_bounds_and_are_not_nullable(self, payload: dict[str, Any]) -> None:
        found = parameters(payload, "get", THINGS)
        assert {"limit", "next_token", "nextToken", "kind", "from"} <= {*found}
        assert (found["limit"]["minimum"], found["limit"]["maximum"]) == (1, 100)
        assert found["kind"]["type"] == "string"
        assert "anyOf" not in found["kind"]

    def test_include_those_of_the_path(self, payload: dict[str, Any]) -> None:
        assert {"tenant_id", "thing_id"} <= {*parameters(payload, "get", THING)}
        assert {*parameters(payload, "get", ERRORS)} == {"tenant_id"}

    def test_include_the_idempotency_key_of_replayable_routes(self, payload: dict[str, Any]) -> None:
        assert "IdempotencyKey" in parameters(payload, "post", THINGS)
        assert "IdempotencyKey" not in parameters(payload, "put", THING)

    def test_include_if_match_of_versioned_routes(self, payload: dict[str, Any]) -> None:
        assert "IfMatch" in parameters(payload, "put", THING)
        assert "IfMatch" not in parameters(payload, "post", THINGS)


class TestSchemas:
    def test_resolve_every_reference(self, payload: dict[str, Any]) -> None:
        for reference in references(payload):
            kind, name = reference.removeprefix("#/components/").split("/")
            assert name in payload["components"][kind]

    def test_contain_no_nested_definitions(self, payload: dict[str, Any]) -> None:
        assert "$defs" not in str(payload)


def references(node: Any) -> list[str]:  # noqa: ANN401 — any JSON
    """Return all `$ref` below a node."""
    match node:
        case {"$ref": str(reference)}:
            return [reference]
        case dict():
            return [found for value in node.values() for found in references(value)]  # pyright: ignore[reportUnknownVariableType]  # any JSON
        case list():
            return [found for value in node for found in references(value)]  # pyright: ignore[reportUnknownVariableType]  # any JSON
        case _:
            return []
