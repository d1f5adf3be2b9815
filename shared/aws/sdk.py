"""Botocore's clients, for all calls that `shared/aws` does not implement.

The import takes longer than everything else that most functions import, so they import it at the first such call.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials

from shared.aws.signing import Keys
from shared.tracing import traced


class CallerCredentials(Credentials):
    """The credentials of the current caller, requested for each call."""

    def __init__(self, keys: Callable[[], Keys]) -> None:
        super().__init__("", "")
        self._keys = keys

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials with which botocore signs a call."""
        return ReadOnlyCredentials(*self._keys())


def client(
    service: str, *, keys: Callable[[], Keys] | None, connect_timeout_s: float, read_timeout_s: float, attempts: int
) -> Any:  # noqa: ANN401 — botocore makes clients from data
    """Return a client.

    Args:
        service: botocore's name of the service.
        keys: returns the signing keys; None for the credentials that botocore finds.
        connect_timeout_s: the time limit for opening a connection.
        read_timeout_s: the time limit for each piece of a response.
        attempts: the maximum number of attempts per call.
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
    """Return the keys that botocore finds, for example those of a profile."""
    credentials: Any = _own_session().get_credentials()
    found = credentials.get_frozen_credentials()
    return Keys(found.access_key, found.secret_key, found.token)


@cache
def _own_session() -> botocore.session.Session:
    return traced(botocore.session.get_session())


@cache
def _session_of(keys: Callable[[], Keys]) -> botocore.session.Session:
    session = botocore.session.Session()
    session._credentials = CallerCredentials(keys)  # pyright: ignore[reportAttributeAccessIssue]
    return traced(session)
