"""Started functions, so that the first request does not wait."""

import json
from typing import TYPE_CHECKING

from infra.names import PRODUCT

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

_EMPTY_EVENT = json.dumps(
    {
        "Records": [],
        "httpMethod": "GET",
        "path": "/",
        "resource": "/",
        "headers": {},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "requestContext": {"requestId": "warm", "stage": "local", "path": "/"},
        "body": None,
        "isBase64Encoded": False,
    }
)
"""An empty batch and a request for a missing route: every function can handle it, and none does any work."""
_REFUSAL = '"errorMessage": "Unauthorized"'
"""The authorizer's answer to a request without a caller, which API Gateway requires to be an error."""
_ERROR_EXCERPT_CHARS = 300
"""Characters of a function's error in the message."""


def functions_of(client: "LambdaClient", environment: str) -> list[str]:
    """Return the names of all functions of an environment, sorted."""
    pages = client.get_paginator("list_functions").paginate()
    prefix = f"{PRODUCT}-{environment}-"
    names = (function.get("FunctionName", "") for page in pages for function in page["Functions"])
    return sorted(name for name in names if name.startswith(prefix))


def warm(client: "LambdaClient", environment: str) -> int:
    """Invoke every function once and return their number.

    Functions start one after another, because many starts at once slow each other down on a small machine.
    """
    names = functions_of(client, environment)
    for name in names:
        invoke_without_work(client, name)
    return len(names)


def invoke_without_work(client: "LambdaClient", name: str) -> str | None:
    """Invoke a function without work, and return its error, if any."""
    response = client.invoke(FunctionName=name, Payload=_EMPTY_EVENT)
    payload = response["Payload"].read().decode(errors="replace")
    failed = "FunctionError" in response and _REFUSAL not in payload
    return payload[:_ERROR_EXCERPT_CHARS] if failed else None
