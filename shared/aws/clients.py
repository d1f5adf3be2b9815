"""AWS clients, one of each per container, made when they are first needed.

The calls that runs make are made without botocore; `AWS_CLIENTS=botocore` makes them with it (decision 13).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.aws.client import Caller
from shared.aws.connection import Connections
from shared.aws.services import DynamoDB, Events, Functions, Objects, Secrets, Tokens
from shared.aws.signing import Keys, Scope
from shared.storage.credentials import TenantCredentials

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # What is loaded before the snapshot is taken costs no request anything.
    from shared.storage import sdk as _  # noqa: F401 — to have it loaded

_CONNECT_S, _READ_S, _ATTEMPTS = 2.0, 10.0, 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A client that is asked for."""

    service: str
    keys: Callable[[], Keys] | None
    """What it signs with; None: what the function has."""
    read_timeout_s: float = _READ_S
    attempts: int = _ATTEMPTS

    def caller(self, bucket: str = "") -> Caller:
        """Makes calls without botocore; of S3 to the host of a bucket."""
        region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
        host = f"{bucket}.{self.service}" if bucket else self.service
        url = _endpoint() or f"https://{host}.{region}.amazonaws.com"
        connections = Connections(url, connect_timeout_s=_CONNECT_S, read_timeout_s=self.read_timeout_s)
        scope = Scope(self.service, region)
        return Caller(connections, scope=scope, keys=self.keys or _own_keys, attempts=self.attempts)

    def of_botocore(self) -> Any:  # noqa: ANN401 — botocore makes clients from data
        """Botocore's own."""
        from shared.storage import sdk  # It takes longer than all the rest, and is seldom needed.

        return sdk.client(
            self.service,
            keys=self.keys,
            connect_timeout_s=_CONNECT_S,
            read_timeout_s=self.read_timeout_s,
            attempts=self.attempts,
        )


_LEAN: dict[str, Callable[[Asked], Any]] = {
    "dynamodb": lambda asked: DynamoDB(asked.caller()),
    "events": lambda asked: Events(asked.caller()),
    "lambda": lambda asked: Functions(asked.caller()),
    "s3": lambda asked: Objects(asked.caller, asked.of_botocore, by_path=_endpoint() is not None),
    "secretsmanager": lambda asked: Secrets(asked.caller(), asked.of_botocore),
    "sts": lambda asked: Tokens(asked.caller()),
}


@cache
def own_client(service: str, *, read_timeout_s: float | None = None, attempts: int | None = None) -> Any:  # noqa: ANN401 — as above
    """A client with the function's own role.

    Args:
        service: as botocore names it.
        read_timeout_s: how long an answer may take; the default is 10 s.
        attempts: how often a call is tried in all; the default is 3.
    """
    return new_client(service, read_timeout_s=read_timeout_s, attempts=attempts)


def new_client(service: str, *, read_timeout_s: float | None = None, attempts: int | None = None) -> Any:  # noqa: ANN401 — as above
    """As `own_client`, for callers that bound how many clients they keep: a tenant may choose the timeout."""
    return _made(Asked(service, None, read_timeout_s or _READ_S, attempts or _ATTEMPTS))


@cache
def tenant_client(service: str) -> Any:  # noqa: ANN401 — as above
    """A client that reaches only the data of the tenant which the current context acts for."""
    return _made(Asked(service, _tenant_keys))


def _made(asked: Asked) -> Any:  # noqa: ANN401 — as above
    is_lean = asked.service in _LEAN and os.environ.get("AWS_CLIENTS") != "botocore"
    return _LEAN[asked.service](asked) if is_lean else asked.of_botocore()


def _endpoint() -> str | None:
    """Where all services are, when they are not where AWS has them."""
    return os.environ.get("AWS_ENDPOINT_URL")


def _own_keys() -> Keys:
    """Those that the Lambda runtime gives; elsewhere those that botocore finds."""
    environ = os.environ
    if "AWS_ACCESS_KEY_ID" in environ and "AWS_SECRET_ACCESS_KEY" in environ:
        return Keys(
            environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ.get("AWS_SESSION_TOKEN") or None
        )
    from shared.storage import sdk  # As above.

    return sdk.own_keys()


def _tenant_keys() -> Keys:
    return _tenant_credentials().keys()


@cache
def _tenant_credentials() -> TenantCredentials:
    return TenantCredentials(lambda: own_client("sts"), role_arn=os.environ["DATA_ROLE_ARN"])
