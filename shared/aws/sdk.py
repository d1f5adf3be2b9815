"""Clients by botocore, for all that `shared/aws` does not call itself.

To import this takes longer than most functions need for all the rest: they do it with the first such call.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials

from shared.aws.signing import Keys
from shared.tracing import traced


class Changing(Credentials):
    """Those of whoever calls: they are asked for at each call."""

    def __init__(self, keys: Callable[[], Keys]) -> None:
        super().__init__("", "")
        self._keys = keys

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """What botocore signs a call with."""
        return ReadOnlyCredentials(*self._keys())


def client(
    service: str, *, keys: Callable[[], Keys] | None, connect_timeout_s: float, read_timeout_s: float, attempts: int
) -> Any:  # noqa: ANN401 — botocore makes clients from data
    """A client.

    Args:
        service: as botocore names it.
        keys: what it signs with; None: what botocore finds.
        connect_timeout_s: for a connection to be made.
        read_timeout_s: for each piece of an answer.
        attempts: how often a call is tried in all.
    """
    config = Config(
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=32,
        parameter_validation=False,
    )
    return (_session_of(keys) if keys else _own_session()).create_client(service, config=config)


def own_keys() -> Keys:
    """Those that botocore finds: of a profile, say."""
    credentials: Any = _own_session().get_credentials()
    found = credentials.get_frozen_credentials()
    return Keys(found.access_key, found.secret_key, found.token)


@cache
def _own_session() -> botocore.session.Session:
    return traced(botocore.session.get_session())


@cache
def _session_of(keys: Callable[[], Keys]) -> botocore.session.Session:
    session = botocore.session.Session()
    session._credentials = Changing(keys)  # pyright: ignore[reportAttributeAccessIssue]
    return traced(session)
