"""Operations of the API as the OpenAPI document has them; whatever it says later is attacked later."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.tenancy.permissions import Role

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    least: Role | None
    """The least role that may call; None: no token is asked for."""
    queries: frozenset[str]
    body: Json | None
    """The schema of the body, its references resolved."""
    statuses: frozenset[int]
    """Of the answers when all went well."""
    takes_key: bool
    """It takes an Idempotency-Key."""
    takes_version: bool
    """It takes an If-Match."""

    @property
    def name(self) -> str:
        """`GET /v1/health`."""
        return f"{self.method} {self.path}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def changes(self) -> bool:
        """Whether it is more than a read."""
        return self.method != "GET"

    @property
    def tells_version(self) -> bool:
        """Whether its answer has the ETag and it changes nothing, if it is asked to change nothing."""
        return self.method == "GET" or (self.method == "PATCH" and not (self.body or {}).get("required"))

    @property
    def makes(self) -> bool:
        """Whether it makes a resource of a tenant."""
        return self.method == "POST" and bool(self.statuses & {201, 202}) and not self.path.endswith("}")


OPEN: Mapping[str, str] = {
    "GET /v1/health": "says nothing of anybody",
    "GET /v1/openapi.json": "the same",
    "POST /v1/webhooks/stripe": "its token is Stripe's signature: tests/services/billing/test_webhooks.py",
}
"""Operations without a token, in which there is nothing of a tenant; all others are attacked, a new one by itself."""


def operations_of(document: Json) -> list[Operation]:
    """The operations of a document."""
    return [
        _operation(document, path, method, said)
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    ]


def _operation(document: Json, path: str, method: str, said: Json) -> Operation:
    parameters = [_resolved(document, one) for one in said["parameters"]]
    headers = {one["name"] for one in parameters if one["in"] == "header"}
    body = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return Operation(
        method=method.upper(),
        path=path,
        least=Role(said["x-least-role"]) if said["x-least-role"] else None,
        queries=frozenset(one["name"] for one in parameters if one["in"] == "query"),
        body=None if body is None else _resolved(document, body),
        statuses=frozenset(int(status) for status in said["responses"] if status.startswith("2")),
        takes_key="Idempotency-Key" in headers,
        takes_version="If-Match" in headers,
    )


def _resolved(document: Json, node: Any, *, depth: int = 12) -> Any:  # noqa: ANN401 — any JSON
    """A part of the document with what it refers to in its place; what holds itself ends after a while."""
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
