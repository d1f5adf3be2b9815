"""Operations of the OpenAPI document. New operations are attacked without changes to the tests."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.tenancy.permissions import Role

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path."""

    method: str
    path: str
    min_role: Role | None
    """The least role that may call the operation. None if it needs no token."""
    queries: frozenset[str]
    body: Json | None
    """The schema of the body, with its references resolved."""
    statuses: frozenset[int]
    """The statuses of successful responses."""
    accepts_key: bool
    """Whether it accepts an Idempotency-Key."""
    accepts_version: bool
    """Whether it accepts If-Match."""

    @property
    def name(self) -> str:
        """The method and the path, for example `GET /v1/health`."""
        return f"{self.method} {self.path}"

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names of the path parameters."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def is_write(self) -> bool:
        """Whether it is not a read."""
        return self.method != "GET"

    @property
    def returns_version(self) -> bool:
        """Whether it can return the ETag without a change: a GET, or a PATCH without required fields."""
        return self.method == "GET" or (self.method == "PATCH" and not (self.body or {}).get("required"))

    @property
    def creates_resource(self) -> bool:
        """Whether it creates a resource of a tenant."""
        return self.method == "POST" and bool(self.statuses & {201, 202}) and not self.path.endswith("}")


PUBLIC_OPERATIONS: Mapping[str, str] = {
    "GET /v1/health": "returns no data of tenants",
    "GET /v1/openapi.json": "returns no data of tenants",
    "POST /v1/webhooks/stripe": "authenticated by Stripe's signature: tests/services/billing/stripe_webhooks/",
}
"""Operations without a token, with the reason. All others are attacked."""


def operations_of(document: Json) -> list[Operation]:
    """Return the operations of a document."""
    return [
        _operation(document, path, method, payload)
        for path, methods in document["paths"].items()
        for method, payload in methods.items()
    ]


def _operation(document: Json, path: str, method: str, payload: Json) -> Operation:
    parameters = [_resolved(document, parameter) for parameter in payload["parameters"]]
    headers = {parameter["name"] for parameter in parameters if parameter["in"] == "header"}
    body = payload.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return Operation(
        method=method.upper(),
        path=path,
        min_role=Role(payload["x-least-role"]) if payload["x-least-role"] else None,
        queries=frozenset(parameter["name"] for parameter in parameters if parameter["in"] == "query"),
        body=None if body is None else _resolved(document, body),
        statuses=frozenset(int(status) for status in payload["responses"] if status.startswith("2")),
        accepts_key="Idempotency-Key" in headers,
        accepts_version="If-Match" in headers,
    )


def _resolved(document: Json, node: Any, *, depth: int = 12) -> Any:  # noqa: ANN401 — any JSON
    """Return a part of the document with its references resolved, recursive ones up to a depth."""
    match node:
        case {"$ref": str(reference)}:
            found: Any = document
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
            return _resolved(document, found, depth=depth - 1) if depth else {}
        case Mapping():
            return {key: _resolved(document, value, depth=depth) for key, value in node.items()}  # pyright: ignore[reportUnknownVariableType]  # any JSON
        case list():
            return [_resolved(document, value, depth=depth) for value in node]  # pyright: ignore[reportUnknownVariableType]  # any JSON
        case _:
            return node
