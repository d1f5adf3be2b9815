"""Requests to the two applications of the service, and their answers, read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.tenants.api.admin import app as admin_app
from services.tenants.api.application import app
from shared.tenancy.permissions import Role
from tests.gateway import claims, request


@dataclass(frozen=True)
class Answered:
    """An answer, read."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of a refusal."""
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
) -> Answered:
    """One request, by default of an admin of `acme`; `path` names what stands in the route's braces."""
    answered_by = admin_app if resource.startswith("/v1/admin") else app
    named = {"tenant_id": "acme", **path}
    parameters = {name: value for name, value in named.items() if f"{{{name}}}" in resource}
    said = claims(None if role is Role.PLATFORM_ADMIN else of_tenant, role=role)
    answer = answered_by(
        request(method, resource, path_parameters=parameters, claims=said, body=body, headers=headers, query=query)
    )
    read = {name: ",".join(values) for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], read, json.loads(answer["body"]) if answer["body"] else None)
