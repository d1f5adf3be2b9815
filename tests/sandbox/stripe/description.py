"""Stripe's OpenAPI description as a validator of requests, responses and events."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import jsonschema_rs

from sandbox.stripe.api import StripeRequest, StripeResponse
from sandbox.stripe.form import decode
from tests.architecture.source import ROOT

PACKAGE = ROOT / ".ainexus" / "data" / "seahaven_stripe_world-0.3.0-py3-none-any.whl"
"""The package that `make stripe-description` downloads; it contains Stripe's OpenAPI description."""

_IN_PACKAGE = "seahaven_stripe_world/spec/spec3.json"


@dataclass
class StripeDescription:
    """The routes and schemas in Stripe's description."""

    document: dict[str, Any]
    _validators: dict[str, Any] = field(default_factory=dict[str, Any])

    def complaints(self, request: StripeRequest, received: StripeResponse) -> Iterator[str]:
        """Yield the errors in a request and its response. A refused request may be invalid."""
        if request.path.startswith("/v2/"):
            return  # the description is of the first API alone
        operation = self._operation(request)
        if operation is None:
            yield f"{request.method} {request.path} is no route of Stripe"
            return
        name, described = operation
        if received.status < 400:
            yield from self._of_request(name, described, request)
        response = described["responses"]["200" if received.status == 200 else "default"]
        schema = response["content"]["application/json"]["schema"]
        key = f"{name} {'200' if received.status == 200 else 'default'}"
        yield from self._errors(key, schema, received.body, f"{name} answers")

    def event_complaints(self, event: dict[str, Any]) -> Iterator[str]:
        """Yield the errors in an event and its object."""
        yield from self._errors("event", {"$ref": "#/components/schemas/event"}, event, event["type"])
        kind = event["data"]["object"]["object"]
        where = {"$ref": f"#/components/schemas/{kind}"}
        yield from self._errors(f"of {kind}", where, event["data"]["object"], f"the object of {event['type']}")

    def _of_request(self, name: str, described: dict[str, Any], request: StripeRequest) -> Iterator[str]:
        if request.method != "GET":
            schema = described["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
            value = self._typed(schema, decode(request.body))
            yield from self._errors(f"{name} body", schema, value, f"{name} with {request.body}")
            return
        properties = {one["name"]: one["schema"] for one in described["parameters"] if one["in"] == "query"}
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        value = self._typed(schema, decode(request.query))
        yield from self._errors(f"{name} query", schema, value, f"{name} with {request.query}")

    def _operation(self, request: StripeRequest) -> tuple[str, dict[str, Any]] | None:
        paths: dict[str, Any] = self.document["paths"]
        exact_first = sorted(paths, key=lambda path: path.count("{"))
        for path in exact_first:
            pattern = re.sub(r"\{\w+\}", "[^/]+", path)
            if re.fullmatch(pattern, request.path) and request.method.lower() in paths[path]:
                return f"{request.method} {path}", paths[path][request.method.lower()]
        return None

    def _errors(self, key: str, schema: dict[str, Any], value: object, what: str) -> Iterator[str]:
        if key not in self._validators:
            resolved = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(resolved)
        for error in self._validators[key].iter_errors(value):
            at = "/".join(str(part) for part in error.instance_path)
            yield f"{what}: at {at or 'the top'}: {error.message[:300]}"

    def _typed(self, schema: dict[str, Any], value: object) -> object:
        """Convert a form's texts to the schema's types. A text that fits no type stays and is reported."""
        for option in schema.get("anyOf", []):
            typed = self._typed(option, value)
            if jsonschema_rs.Draft202012Validator({**option, "components": self.document["components"]}).is_valid(
                typed
            ):
                return typed
        match schema.get("type"), value:
            case "integer", str() if re.fullmatch(r"-?\d+", value):
                return int(value)
            case "boolean", "true" | "false":
                return value == "true"
            case "object", dict():
                known = schema.get("properties", {})
                items = cast("dict[str, object]", value)
                return {name: self._typed(known.get(name, {}), part) for name, part in items.items()}
            case "array", list():
                return [self._typed(schema["items"], part) for part in cast("list[object]", value)]
            case _:
                return value


@cache
def description() -> StripeDescription | None:
    """Read the description; None on a machine that does not have it."""
    if not PACKAGE.exists():
        return None
    with zipfile.ZipFile(PACKAGE) as package:
        document = json.loads(package.read(_IN_PACKAGE))
    return StripeDescription(cast("dict[str, Any]", _nullable(document)))


def _nullable(part: object) -> object:
    """Convert OpenAPI 3.0's `nullable` to JSON Schema: a union with null."""
    if isinstance(part, list):
        return [_nullable(one) for one in cast("list[object]", part)]
    if not isinstance(part, dict):
        return part
    items = cast("dict[str, object]", part)
    plain = {name: _nullable(one) for name, one in items.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if items.get("nullable") is True else plain
