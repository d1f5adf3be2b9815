"""AWS clients, created once per container, on first use.

The calls that runs make do not use botocore, unless `AWS_CLIENTS=botocore` is set (decision 13).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.aws.client import Caller
from shared.aws.connection import Connections
from shared.aws.credentials import TenantCredentials
from shared.aws.services import DynamoDB, Events, Functions, Objects, Secrets, Tokens
from shared.aws.signing import Keys, Scope

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # Modules that are loaded before the snapshot is taken cost no request any time.
    from shared.aws import sdk as _  # noqa: F401 — the import is the purpose

_CONNECT_S, _READ_S, _ATTEMPTS = 2.0, 10.0, 3


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings of a client."""

    service: str
    keys: Callable[[], Keys] | None
    """Returns the signing keys; None for the function's own."""
    read_timeout_s: float = _READ_S
    attempts: int = _ATTEMPTS

    def caller(self, bucket: str = "") -> Caller:
        """Return a caller that does not use botocore; for S3, one for the host of a bucket."""
        region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
        host = f"{bucket}.{self.service}" if bucket else self.service
        url = _endpoint() or f"https://{host}.{region}.amazonaws.com"
        connections = Connections(url, connect_timeout_s=_CONNECT_S, read_timeout_s=self.read_timeout_s)
        scope = Scope(self.service, region)
        return Caller(connections, scope=scope, keys=self.keys or _own_keys, attempts=self.attempts)

    def botocore_client(self) -> Any:  # noqa: ANN401 — botocore makes clients from data
        """Return botocore's client."""
        from shared.aws import sdk  # The import takes longer than all others, and is rarely needed.

        return sdk.client(
            self.service,
            keys=self.keys,
            connect_timeout_s=_CONNECT_S,
            read_timeout_s=self.read_timeout_s,
            attempts=self.attempts,
        )


_LEAN: dict[str, Callable[[ClientSettings], Any]] = {
    "dynamodb": lambda asked: DynamoDB(asked.caller()),
    "events": lambda asked: Events(asked.caller()),
    "lambda": lambda asked: Functions(asked.caller()),
    "s3": lambda asked: Objects(asked.caller, asked.botocore_client, by_path=_endpoint() is not None),
    "secretsmanager": lambda asked: Secrets(asked.caller(), asked.botocore_client),
    "sts": lambda asked: Tokens(asked.caller()),
}


@cache
def own_client(service: str, *, read_timeout_s: float | None = None, attempts: int | None = None) -> Any:  # noqa: ANN401 — as above
    """Return a client with the function's own role.

    Args:
        service: botocore's name of the service.
        read_timeout_s: the maximum time to wait for a response, 10 s by default.
        attempts: the maximum number of attempts per call, 3 by default.
    """
    return new_client(service, read_timeout_s=read_timeout_s, attempts=attempts)


def new_client(service: str, *, read_timeout_s: float | None = None, attempts: int | None = None) -> Any:  # noqa: ANN401 — as above
    """Return a new client, not a cached one: a tenant may choose the timeout, so callers bound the clients they keep.

    See `own_client` for the arguments.
    """
    return _create(ClientSettings(service, None, read_timeout_s or _READ_S, attempts or _ATTEMPTS))


@cache
def tenant_client(service: str) -> Any:  # noqa: ANN401 — as above
    """Return a client that can access only the data of the current context's tenant."""
    return _create(ClientSettings(service, _tenant_keys))


def _create(asked: ClientSettings) -> Any:  # noqa: ANN401 — as above
    is_lean = asked.service in _LEAN and os.environ.get("AWS_CLIENTS") != "botocore"
    return _LEAN[asked.service](asked) if is_lean else asked.botocore_client()


def _endpoint() -> str | None:
    """Return the endpoint of all services, if it is not AWS's own."""
    return os.environ.get("AWS_ENDPOINT_URL")


def _own_keys() -> Keys:
    """Return the keys of the Lambda runtime, or elsewhere those that botocore finds."""
    environ = os.environ
    if "AWS_ACCESS_KEY_ID" in environ and "AWS_SECRET_ACCESS_KEY" in environ:
        return Keys(
            environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ.get("AWS_SESSION_TOKEN") or None
        )
    from shared.aws import sdk  # As above.

    return sdk.own_keys()


def _tenant_keys() -> Keys:
    return _tenant_credentials().keys()


@cache
def _tenant_credentials() -> TenantCredentials:
    return TenantCredentials(lambda: own_client("sts"), role_arn=os.environ["DATA_ROLE_ARN"])
