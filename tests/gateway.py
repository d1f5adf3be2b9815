"""Requests as the REST API hands them to a function (Lambda proxy integration)."""

import json
from collections.abc import Mapping
from typing import Any

from shared.tenancy.permissions import Role

CLIENT_ID = "our-client"
"""The app client whose tokens are accepted."""
REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


def claims(
    tenant_id: str | None = "demo-org", *, role: Role = Role.TENANT_ADMIN, features: tuple[str, ...] | None = None
) -> dict[str, str]:
    """What an id token says."""
    said = {"token_use": "id", "aud": CLIENT_ID, "sub": "8f1c", "custom:role": role.value}
    if tenant_id:
        said["custom:tenant_id"] = tenant_id
    if features is not None:
        said["custom:features"] = json.dumps(features)
    return said


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
    """The event of one request.

    Args:
        method: `GET`, `POST`, …
        resource: the route's path with its `{names}`.
        path_parameters: the values of these names.
        claims: of the id token; None is a route without one.
        body: text as it stands, anything else as JSON.
        headers: of the request.
        query: its parameters.
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
            "authorizer": {"claims": dict(claims)} if claims else {},
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }
