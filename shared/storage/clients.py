"""AWS clients, one of each per container, made when they are first needed."""

import os
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config

from shared.storage.credentials import TenantCredentials
from shared.tracing import traced

_CONFIG = Config(
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
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
    config = _CONFIG
    if read_timeout_s is not None:
        config = config.merge(Config(read_timeout=read_timeout_s))
    if attempts is not None:
        config = config.merge(Config(retries={"mode": "standard", "total_max_attempts": attempts}))
    return _own_session().create_client(service, config=config)


@cache
def tenant_client(service: str) -> Any:  # noqa: ANN401 — as above
    """A client that reaches only the data of the tenant which the current context acts for."""
    return _tenant_session().create_client(service, config=_CONFIG)


@cache
def _own_session() -> botocore.session.Session:
    return traced(botocore.session.get_session())


@cache
def _tenant_session() -> botocore.session.Session:
    session = botocore.session.Session()
    credentials = TenantCredentials(lambda: own_client("sts"), role_arn=os.environ["DATA_ROLE_ARN"])
    session._credentials = credentials  # pyright: ignore[reportAttributeAccessIssue]
    return traced(session)
