"""Requests to the two HTTP functions of the service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.tenants.functions.api import handler
from services.tenants.functions.operators import handler as operators_handler
from shared.tenancy.permissions import Role
from tests.gateway import claims, request, resolve_location


@dataclass(frozen=True)
class TenantsApiResponse:
    """A parsed response."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> tuple[int, str]:
        """The status and the code of an error."""
        return self.status, self.body["error"]


def call(
    method: str,
    resource: str,
    *,
    role: Role = Role.TENANT_ADMIN,
    of_tenant: str | None = "acme",
    body: object = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    **path: str,
) -> TenantsApiResponse:
    """Send a request, by default as an admin of `acme`. `path` has the path parameters."""
    answered_by = operators_handler if resource.startswith("/v1/admin") or resource == "/v1/tenants" else handler
    named = {"tenant_id": "acme", **path}
    parameters = {name: value for name, value in named.items() if f"{{{name}}}" in resource}
    payload = claims(None if role is Role.PLATFORM_ADMIN else of_tenant, role=role)
    answer = answered_by(
        request(method, resource, path_parameters=parameters, claims=payload, body=body, headers=headers, query=query)
    )
    read = {name: ",".join(values) for name, values in answer["multiValueHeaders"].items()}
    read = resolve_location(read, resource.format(**parameters))
    return TenantsApiResponse(answer["statusCode"], read, json.loads(answer["body"]) if answer["body"] else None)
