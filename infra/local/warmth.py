"""Functions that have been started already, so that the first request does not wait."""

import json
from typing import TYPE_CHECKING

from infra.names import PRODUCT

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

_NOTHING = json.dumps(
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
"""An empty batch, and a request for what does not exist: every function can answer it, and none does anything."""
_SHOWN = 300
"""Characters of what a function says when it fails."""


def functions_of(client: "LambdaClient", environment: str) -> list[str]:
    """The names of all functions of an environment, sorted."""
    pages = client.get_paginator("list_functions").paginate()
    prefix = f"{PRODUCT}-{environment}-"
    names = (function.get("FunctionName", "") for page in pages for function in page["Functions"])
    return sorted(name for name in names if name.startswith(prefix))


def warm(client: "LambdaClient", environment: str) -> int:
    """Invoke every function once, and say how many there are.

    One after the other: many that start at once on a small machine keep each other waiting.
    """
    names = functions_of(client, environment)
    for name in names:
        start(client, name)
    return len(names)


def start(client: "LambdaClient", name: str) -> str | None:
    """Invoke a function with nothing to do; gives back why it failed, if it did."""
    answer = client.invoke(FunctionName=name, Payload=_NOTHING)
    said = answer["Payload"].read().decode(errors="replace")
    return said[:_SHOWN] if "FunctionError" in answer else None
