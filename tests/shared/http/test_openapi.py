"""The OpenAPI document says what the application answers."""

from typing import Any

import pytest

from shared.http.openapi import document
from tests.shared.http.things import ERRORS, OPEN, THING, THINGS, Service, application


@pytest.fixture(name="said", scope="module")
def make_document() -> dict[str, Any]:
    return document([application(Service())])


def parameters(said: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """The parameters of an operation by name, or by the name of what they refer to."""
    found = said["paths"][path][method]["parameters"]
    return {one.get("name") or one["$ref"].rpartition("/")[2]: one.get("schema") for one in found}


class TestAnswers:
    def test_of_a_creation_say_where_it_is(self, said: dict[str, Any]) -> None:
        created = said["paths"][THINGS]["post"]["responses"]["201"]
        assert {"X-Request-Id", "Location", "ETag", "Idempotent-Replayed"} == {*created["headers"]}
        assert said["components"]["headers"]["Location"]["required"] is True

    def test_of_nothing_have_no_content(self, said: dict[str, Any]) -> None:
        assert "content" not in said["paths"][THING]["put"]["responses"]["204"]

    def test_are_refusals_only_where_there_can_be_one(self, said: dict[str, Any]) -> None:
        of_open = set(said["paths"][OPEN]["get"]["responses"])
        of_read = set(said["paths"][THINGS]["get"]["responses"])
        of_change = set(said["paths"][THING]["put"]["responses"])
        assert of_read - of_open == {"401", "403"}
        assert of_change - of_read == {"204", "402", "409", "412"}


class TestParameters:
    def test_of_a_query_have_their_bounds_and_are_never_null(self, said: dict[str, Any]) -> None:
        found = parameters(said, "get", THINGS)
        assert {"limit", "next_token", "nextToken", "kind", "from"} <= {*found}
        assert (found["limit"]["minimum"], found["limit"]["maximum"]) == (1, 100)
        assert found["kind"]["type"] == "string"
        assert "anyOf" not in found["kind"]

    def test_of_the_path_are_all_there(self, said: dict[str, Any]) -> None:
        assert {"tenant_id", "thing_id"} <= {*parameters(said, "get", THING)}
        assert {*parameters(said, "get", ERRORS)} == {"tenant_id"}

    def test_take_a_key_where_a_request_can_be_done_once(self, said: dict[str, Any]) -> None:
        assert "IdempotencyKey" in parameters(said, "post", THINGS)
        assert "IdempotencyKey" not in parameters(said, "put", THING)

    def test_take_a_version_where_one_can_be_stale(self, said: dict[str, Any]) -> None:
        assert "IfMatch" in parameters(said, "put", THING)
        assert "IfMatch" not in parameters(said, "post", THINGS)


class TestSchemas:
    def test_every_reference_leads_somewhere(self, said: dict[str, Any]) -> None:
        for reference in references(said):
            kind, name = reference.removeprefix("#/components/").split("/")
            assert name in said["components"][kind]

    def test_hold_no_definitions_inside(self, said: dict[str, Any]) -> None:
        assert "$defs" not in str(said)


def references(node: Any) -> list[str]:  # noqa: ANN401 — any JSON
    """All `$ref` below a node."""
    match node:
        case {"$ref": str(reference)}:
            return [reference]
        case dict():
            return [found for value in node.values() for found in references(value)]  # pyright: ignore[reportUnknownVariableType]  # any JSON
        case list():
            return [found for value in node for found in references(value)]  # pyright: ignore[reportUnknownVariableType]  # any JSON
        case _:
            return []
