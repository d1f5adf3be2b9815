"""The examples in the OpenAPI document are valid for their schemas."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from infra.core.document import openapi
from infra.core.examples import RECORDED
from infra.services import SERVICES

Json = dict[str, Any]

UNRECORDED = {
    "get /v1/openapi.json 200": "it is the document itself",
    "get /v1/admin/usage/export 202": "the export of a small ledger ends before the response",
}
DOCUMENT = openapi(SERVICES)


def bodies(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield every JSON body with its operation and name."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            containers = {"body": operation.get("requestBody", {}), **operation["responses"]}
            for name, container in containers.items():
                content = container.get("content", {}).get("application/json")
                if content:
                    yield f"{method} {path} {name}", content


def test_examples_match_their_schema() -> None:
    examples = [(place, body) for place, body in bodies(DOCUMENT) if "example" in body]
    assert [(place, error.message) for place, body in examples for error in errors_of(body)] == []


def test_every_body_has_an_example() -> None:
    missing = {place for place, body in bodies(DOCUMENT) if "example" not in body}
    assert missing == {*UNRECORDED}, "run `python -m tests.contracts.record_examples`"


def test_every_recorded_operation_exists() -> None:
    operations = [operation for operations in DOCUMENT["paths"].values() for operation in operations.values()]
    names = {operation["operationId"] for operation in operations}
    assert {*json.loads(RECORDED.read_bytes())} <= names


def test_an_invalid_example_is_detected() -> None:
    [run] = [body for place, body in bodies(DOCUMENT) if place == "get /v1/tenants/{tenant_id}/runs/{run_id} 200"]
    assert errors_of(run) == []
    assert errors_of(run | {"example": {**run["example"], "run": {}}})


def test_path_parameters_have_examples_of_their_type() -> None:
    [operation] = [
        operations["get"]
        for path, operations in DOCUMENT["paths"].items()
        if path.endswith("/agents/{agent_id}/versions/{version}")
    ]
    examples = {one["name"]: one["example"] for one in operation["parameters"] if "example" in one}
    assert examples["version"] == 1
    assert examples["agent_id"].startswith("agt_")


def errors_of(body: Json) -> list[jsonschema_rs.ValidationError]:
    """Return the errors of an example against its schema."""
    schema = {"allOf": [body["schema"]], "components": DOCUMENT["components"]}
    return list(jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(body["example"]))


def test_error_examples_match_the_common_schema() -> None:
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}], "components": DOCUMENT["components"]}
    for response in DOCUMENT["components"]["responses"].values():
        for example in response["content"]["application/json"]["examples"].values():
            jsonschema_rs.validator_for(schema).validate(example["value"])


def test_the_model_of_every_request_has_examples() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    sent = {body["schema"]["$ref"].rpartition("/")[2] for place, body in bodies(DOCUMENT) if place.endswith(" body")}
    assert [name for name in sorted(sent) if not schemas[name].get("examples")] == []
