"""The authorizer function, which API Gateway invokes before the functions with routes.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
"""

import os
from functools import cache
from typing import Any

from services.core.authorizer.domain import to_answer
from services.core.authorizer.gateway import IdTokens, pool_keys
from services.core.authorizer.operations import Callers
from services.core.authorizer.table import TENANTS, ApiKeys
from shared.aws.clients import own_client
from shared.edge import open_scope
from shared.tenancy.claims import InvalidToken
from shared.times import utc_now


class Unauthorized(Exception):
    """API Gateway answers 401 to an error with exactly this message, and does not cache it."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def handler(event: dict[str, Any], context: object = None) -> dict[str, Any]:
    """Identify the caller of a request.

    Raises:
        Unauthorized: the request has no valid id token and no valid API key.
    """
    headers: dict[str, str] = event.get("headers") or {}
    authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    with open_scope(context):
        try:
            claims = callers().identify(authorization, now=utc_now())
        except InvalidToken:
            raise Unauthorized from None
    return to_answer(claims, method_arn=str(event["methodArn"]))


@cache
def callers() -> Callers:
    """Return the dependencies of this container."""
    issuer = os.environ["TOKEN_ISSUER"]
    host, _, pool = issuer.rpartition("/")
    address = f"{os.environ.get('AWS_ENDPOINT_URL') or host}/{pool}/.well-known/jwks.json"
    return Callers(
        tokens=IdTokens(issuer=issuer, audience=os.environ["USER_POOL_CLIENT_ID"], keys=pool_keys(address)),
        api_keys=ApiKeys(own_client("dynamodb"), os.environ[TENANTS.table.variable]),
        environment=os.environ["ENVIRONMENT"],
    )
