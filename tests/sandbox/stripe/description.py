"""Stripe's OpenAPI description as a judge of requests, answers and events."""

import gzip
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema_rs

from infra.local.stripe.api import Answer, Request
from infra.local.stripe.form import decode
from tests.architecture.source import ROOT

PLACES = (
    ROOT.parent / "shared" / "data" / "stripe-openapi-subset.json.gz",
    ROOT / ".ainexus" / "data" / "seahaven_stripe_world-0.3.0-py3-none-any.whl",
)
"""Beside the checkout; or in the package that `make stripe-description` fetches, which has it whole."""

_IN_PACKAGE = "seahaven_stripe_world/spec/spec3.json"


def place() -> Path | None:
    """Where the description lies on this machine."""
    return next((path for path in PLACES if path.exists()), None)


@dataclass
class Description:
    """The routes and schemas that Stripe publishes."""

    document: dict[str, Any]
    _validators: dict[str, Any] = field(default_factory=dict[str, Any])

    def complaints(self, request: Request, answer: Answer) -> Iterator[str]:
        """What is wrong with a request and its answer; a refused request may be wrong in itself."""
        if request.path.startswith("/v2/"):
            return  # the description is of the first API alone
        operation = self._operation(request)
        if operation is None:
            yield f"{request.method} {request.path} is no route of Stripe"
            return
        name, described = operation
        if answer.status < 400:
            yield from self._of_request(name, described, request)
        response = described["responses"]["200" if answer.status == 200 else "default"]
        schema = response["content"]["application/json"]["schema"]
        key = f"{name} {'200' if answer.status == 200 else 'default'}"
        yield from self._errors(key, schema, answer.body, f"{name} answers")

    def event_complaints(self, event: dict[str, Any]) -> Iterator[str]:
        """What is wrong with an event and with the object in it."""
        yield from self._errors("event", {"$ref": "#/components/schemas/event"}, event, event["type"])
        kind = event["data"]["object"]["object"]
        where = {"$ref": f"#/components/schemas/{kind}"}
        yield from self._errors(f"of {kind}", where, event["data"]["object"], f"the object of {event['type']}")

    def _of_request(self, name: str, described: dict[str, Any], request: Request) -> Iterator[str]:
        if request.method != "GET":
            schema = described["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
            given = self._typed(schema, decode(request.body))
            yield from self._errors(f"{name} body", schema, given, f"{name} with {request.body}")
            return
        properties = {one["name"]: one["schema"] for one in described["parameters"] if one["in"] == "query"}
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        given = self._typed(schema, decode(request.query))
        yield from self._errors(f"{name} query", schema, given, f"{name} with {request.query}")

    def _operation(self, request: Request) -> tuple[str, dict[str, Any]] | None:
        paths: dict[str, Any] = self.document["paths"]
        exact_first = sorted(paths, key=lambda path: path.count("{"))
        for path in exact_first:
            pattern = re.sub(r"\{\w+\}", "[^/]+", path)
            if re.fullmatch(pattern, request.path) and request.method.lower() in paths[path]:
                return f"{request.method} {path}", paths[path][request.method.lower()]
        return None

    def _errors(self, key: str, schema: dict[str, Any], given: object, what: str) -> Iterator[str]:
        if key not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        for error in self._validators[key].iter_errors(given):
            at = "/".join(str(part) for part in error.instance_path)
            yield f"{what}: at {at or 'the top'}: {error.message[:300]}"

    def _typed(self, schema: dict[str, Any], given: object) -> object:
        """A form's texts as the schema's types; what fits none stays a text, and is complained about."""
        for option in schema.get("anyOf", []):
            typed = self._typed(option, given)
            if jsonschema_rs.Draft202012Validator({**option, "components": self.document["components"]}).is_valid(
                typed
            ):
                return typed
        match schema.get("type"), given:
            case "integer", str() if re.fullmatch(r"-?\d+", given):
                return int(given)
            case "boolean", "true" | "false":
                return given == "true"
            case "object", dict():
                known = schema.get("properties", {})
                items = cast("dict[str, object]", given)
                return {name: self._typed(known.get(name, {}), part) for name, part in items.items()}
            case "array", list():
                return [self._typed(schema["items"], part) for part in cast("list[object]", given)]
            case _:
                return given


@cache
def description() -> Description | None:
    """The description; None on a machine that does not have it."""
    found = place()
    if found is None:
        return None
    document = json.loads(_read(found))
    return Description(cast("dict[str, Any]", _nullable(document)))


def _read(path: Path) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    with zipfile.ZipFile(path) as package:
        return package.read(_IN_PACKAGE)


def _nullable(part: object) -> object:
    """OpenAPI 3.0's `nullable` as JSON Schema says it: a union with null."""
    if isinstance(part, list):
        return [_nullable(one) for one in cast("list[object]", part)]
    if not isinstance(part, dict):
        return part
    items = cast("dict[str, object]", part)
    plain = {name: _nullable(one) for name, one in items.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if items.get("nullable") is True else plain
