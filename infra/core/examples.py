"""Examples for the OpenAPI document: the models' own for requests, and recorded responses of a mesh.

`python -m tests.contracts.record_examples` writes the recording. Tests check each example against its schema.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

RECORDED = Path(__file__).with_name("examples.json")
"""The responses by operation id and status, and the path parameters of their requests."""

_NOTHING: Json = {"path": {}, "responses": {}}


def with_examples(document: Json) -> Json:
    """Return the document with examples of requests, responses and path parameters."""
    recorded: Json = json.loads(RECORDED.read_bytes())
    schemas: Json = document["components"]["schemas"]
    for operation in _operations(document):
        found: Json = recorded.get(operation["operationId"], _NOTHING)
        _add_parameters(operation["parameters"], found["path"])
        for content in _json_of(operation.get("requestBody")):
            content["example"] = schemas[_name_of(content["schema"])]["examples"][0]
        for status, example in found["responses"].items():
            for content in _json_of(operation["responses"].get(status)):
                content["example"] = example
    return document


def _add_parameters(parameters: list[Json], values: Json) -> None:
    for parameter in parameters:
        value = values.get(parameter.get("name", ""))
        if value is not None and parameter.get("in") == "path":
            is_number = parameter["schema"].get("type") == "integer"
            parameter["example"] = int(value) if is_number else value


def _operations(document: Json) -> Iterator[Json]:
    for operations in document["paths"].values():
        yield from operations.values()


def _json_of(holder: Json | None) -> Iterator[Json]:
    """Yield the JSON body of a request or a response, if it has one."""
    content = (holder or {}).get("content", {}).get("application/json", {})
    if "schema" in content:
        yield content


def _name_of(schema: Json) -> str:
    return schema["$ref"].rpartition("/")[2]
