"""Verification of the id tokens of the user pool."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from jwt import PyJWK, PyJWKClient, PyJWKClientError, PyJWTError, decode_complete, get_unverified_header
from jwt.exceptions import PyJWKClientConnectionError

from shared.errors import DependencyUnavailable
from shared.tenancy.claims import NOT_AUTHENTICATED, InvalidToken

_KEYS_LAST_S = 3_600.0
_TIMEOUT_S = 5.0
_MIN_REFRESH_S = 10.0
"""The least time between two reads of the pool's keys, because anybody can send tokens with unknown key ids."""


class KeySource(Protocol):
    """The public keys of a user pool."""

    def get_signing_keys(self, refresh: bool = False) -> list[PyJWK]:  # noqa: FBT001, FBT002 — PyJWT's signature
        """Return the keys; read them again if `refresh` is true."""
        ...


class IdTokens:
    """The id tokens of one user pool.

    Args:
        issuer: the pool's issuer, `https://cognito-idp.<region>.amazonaws.com/<pool>`.
        audience: the id of the platform's app client.
        keys: the pool's public keys.
        monotonic: a clock in seconds.
    """

    def __init__(
        self, *, issuer: str, audience: str, keys: KeySource, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._monotonic = monotonic
        self._refreshed_at: float | None = None

    def payload_of(self, token: str) -> dict[str, Any]:
        """Return the payload of a token with a valid signature, issuer, audience and time.

        Raises:
            InvalidToken: the token is not valid.
            DependencyUnavailable: the pool's keys cannot be read now.
        """
        try:
            header = get_unverified_header(token)
            if header.get("alg") != "RS256":
                raise InvalidToken(NOT_AUTHENTICATED)
            complete = decode_complete(
                token,
                self._key(str(header.get("kid"))),
                algorithms=["RS256"],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except PyJWKClientConnectionError as error:
            msg = "Tokens cannot be verified now; try again."
            raise DependencyUnavailable(msg, retry_after_s=1) from error
        except (PyJWTError, PyJWKClientError) as error:
            raise InvalidToken(NOT_AUTHENTICATED) from error
        return complete["payload"]

    def _key(self, kid: str) -> PyJWK:
        """Return a key of the pool, which is read again if it has a new one."""
        for refresh in (False, True):
            if refresh and not self._may_refresh():
                break
            key = next((one for one in self._keys.get_signing_keys(refresh) if one.key_id == kid), None)
            if key is not None:
                return key
        raise InvalidToken(NOT_AUTHENTICATED)

    def _may_refresh(self) -> bool:
        now = self._monotonic()
        if self._refreshed_at is not None and now - self._refreshed_at < _MIN_REFRESH_S:
            return False
        self._refreshed_at = now
        return True


def pool_keys(address: str) -> PyJWKClient:
    """Return the public keys at an address, cached for an hour."""
    return PyJWKClient(address, cache_jwk_set=True, lifespan=_KEYS_LAST_S, timeout=_TIMEOUT_S)
