"""AWS clients, one of each per container, made when they are first needed.

The services that every run calls are called without botocore; `AWS_CLIENTS=botocore` calls them with it (decision 13).
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config

from shared.aws.client import Caller
from shared.aws.connection import Connections
from shared.aws.services import DynamoDB, Events, Functions
from shared.aws.signing import Keys, Scope
from shared.storage.credentials import TenantCredentials
from shared.tracing import traced

_LEAN: dict[str, Callable[[Caller], Any]] = {"dynamodb": DynamoDB, "events": Events, "lambda": Functions}
_CONNECT_S, _READ_S, _ATTEMPTS = 2.0, 10.0, 3
_CONFIG = Config(
    connect_timeout=_CONNECT_S,
    read_timeout=_READ_S,
    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    max_pool_connections=32,
    parameter_validation=False,
)


@cache
def own_client(service: str, *, read_timeout_s: float | None = None, attempts: int | None = None) -> Any:  # noqa: ANN401 — botocore makes clients from data
    """A client with the function's own role.

    Args:
        service: as botocore names it.
        read_timeout_s: how long an answer may take; the default is 10 s.
        attempts: how often a call is tried in all; the default is 3.
    """
    if _is_lean(service):
        waited_s, tried = read_timeout_s or _READ_S, attempts or _ATTEMPTS
        return _lean_client(service, _own_keys, read_timeout_s=waited_s, attempts=tried)
    config = _CONFIG
    if read_timeout_s is not None:
        config = config.merge(Config(read_timeout=read_timeout_s))
    if attempts is not None:
        config = config.merge(Config(retries={"mode": "standard", "total_max_attempts": attempts}))
    return _own_session().create_client(service, config=config)


@cache
def tenant_client(service: str) -> Any:  # noqa: ANN401 — as above
    """A client that reaches only the data of the tenant which the current context acts for."""
    if _is_lean(service):
        return _lean_client(service, _tenant_keys, read_timeout_s=_READ_S, attempts=_ATTEMPTS)
    return _tenant_session().create_client(service, config=_CONFIG)


def _is_lean(service: str) -> bool:
    return service in _LEAN and os.environ.get("AWS_CLIENTS") != "botocore"


def _lean_client(service: str, keys: Callable[[], Keys], *, read_timeout_s: float, attempts: int) -> Any:  # noqa: ANN401 — as above
    region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
    url = os.environ.get("AWS_ENDPOINT_URL") or f"https://{service}.{region}.amazonaws.com"
    connections = Connections(url, connect_timeout_s=_CONNECT_S, read_timeout_s=read_timeout_s)
    return _LEAN[service](Caller(connections, scope=Scope(service, region), keys=keys, attempts=attempts))


def _own_keys() -> Keys:
    """Those that the Lambda runtime gives; elsewhere those that botocore finds."""
    environ = os.environ
    if "AWS_ACCESS_KEY_ID" in environ and "AWS_SECRET_ACCESS_KEY" in environ:
        return Keys(
            environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ.get("AWS_SESSION_TOKEN") or None
        )
    return _frozen(_own_session().get_credentials())


def _tenant_keys() -> Keys:
    return _frozen(_tenant_credentials())


def _frozen(credentials: Any) -> Keys:  # noqa: ANN401 — botocore's have no common type
    found = credentials.get_frozen_credentials()
    return Keys(found.access_key, found.secret_key, found.token)


@cache
def _own_session() -> botocore.session.Session:
    return traced(botocore.session.get_session())


@cache
def _tenant_credentials() -> TenantCredentials:
    return TenantCredentials(lambda: own_client("sts"), role_arn=os.environ["DATA_ROLE_ARN"])


@cache
def _tenant_session() -> botocore.session.Session:
    session = botocore.session.Session()
    session._credentials = _tenant_credentials()  # pyright: ignore[reportAttributeAccessIssue]
    return traced(session)
