"""Requests as the REST API passes them to a function (Lambda proxy integration)."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from shared.tenancy.claims import Claims
from shared.tenancy.permissions import Role

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


def claims(
    tenant_id: str | None = "demo-org", *, role: Role = Role.TENANT_ADMIN, features: tuple[str, ...] | None = None
) -> dict[str, str]:
    """Return the authorizer's context of a user."""
    return Claims("user:8f1c", role, tenant_id, features=features).to_context()


def request(
    method: str,
    resource: str,
    *,
    path_parameters: Mapping[str, str] | None = None,
    claims: Mapping[str, str] | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the event of a request.

    Args:
        method: `GET`, `POST`, …
        resource: the route's path with its `{names}`.
        path_parameters: the values of these names.
        claims: the context of the authorizer. None for a request without a token.
        body: a string is sent unchanged, any other value as JSON.
        headers: the headers of the request.
        query: the query parameters.
    """
    parameters = dict(path_parameters or {})
    all_headers = {"content-type": "application/json", **(headers or {})}
    return {
        "httpMethod": method,
        "resource": resource,
        "path": resource.format(**parameters),
        "pathParameters": parameters or None,
        "headers": all_headers,
        "multiValueHeaders": {name: [value] for name, value in all_headers.items()},
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "requestContext": {
            "requestId": REQUEST_ID,
            "stage": "test",
            "path": resource.format(**parameters),
            "resourcePath": resource,
            "httpMethod": method,
            "authorizer": dict(claims or {}),
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


def resolve_location(headers: dict[str, str], path: str) -> dict[str, str]:
    """Return the headers with the path that a client reads in a Location, which is relative to the request's path."""
    return headers | {name: urljoin(path, value) for name, value in headers.items() if name == "Location"}
