"""The examples of the OpenAPI document keep the schemas beside which they stand."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from infra.core.document import openapi
from infra.core.examples import with_examples
from infra.services import SERVICES

Json = dict[str, Any]

DOCUMENT = openapi(SERVICES)
THING: Json = {
    "type": "object",
    "required": ["thing_id", "size"],
    "properties": {
        "thing_id": {"type": "string"},
        "size": {"type": "integer", "minimum": 3},
        "run_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "reason": {"type": "integer"},
    },
}


def bodies(document: Json) -> Iterator[tuple[str, Json]]:
    """Every body in JSON, with where it stands."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            holders = {"body": operation.get("requestBody", {}), **operation["responses"]}
            for name, holder in holders.items():
                content = holder.get("content", {}).get("application/json")
                if content:
                    yield f"{method} {path} {name}", content


def test_stands_beside_every_body_and_keeps_its_schema() -> None:
    found = [(place, error.message) for place, body in bodies(DOCUMENT) for error in errors_of(body)]
    assert found == []


def errors_of(body: Json) -> list[jsonschema_rs.ValidationError]:
    """Where the example is not what its schema says."""
    schema = {"allOf": [body["schema"]], "components": DOCUMENT["components"]}
    return list(jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(body["example"]))


def test_of_an_error_keeps_the_one_shape() -> None:
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}], "components": DOCUMENT["components"]}
    for answer in DOCUMENT["components"]["responses"].values():
        for example in answer["content"]["application/json"]["examples"].values():
            jsonschema_rs.validator_for(schema).validate(example["value"])


class TestExample:
    def test_of_an_answer_shows_every_field(self) -> None:
        [shown] = self._made(THING, sent=False)
        assert {*shown} == {*THING["properties"]}

    def test_of_a_request_shows_what_must_be_given(self) -> None:
        [shown] = self._made(THING, sent=True)
        assert shown == {"thing_id": "text", "size": 3}

    def test_takes_no_value_of_another_type(self) -> None:
        [shown] = self._made(THING, sent=False)
        assert shown["reason"] == 0
        assert shown["run_id"].startswith("run_")

    def _made(self, schema: Json, *, sent: bool) -> list[Json]:
        content: Json = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}
        operation: Json = {"parameters": [], "responses": {} if sent else {"200": content}}
        document = with_examples(
            {
                "paths": {"/things": {"post": operation | ({"requestBody": content} if sent else {})}},
                "components": {"schemas": {"Thing": schema}},
            }
        )
        return [body["example"] for _, body in bodies(document)]
