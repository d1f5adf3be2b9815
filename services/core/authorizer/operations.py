"""Identification of the caller of a request."""

from dataclasses import dataclass
from datetime import datetime

from services.core.authorizer.domain import FoundKey, claims_of_key, claims_of_token, credential_of
from services.core.authorizer.gateway import IdTokens
from services.core.authorizer.table import ApiKeys
from shared.api_keys.secret import hash_of, is_well_formed, looks_like_key
from shared.errors import DependencyUnavailable
from shared.observability import logger
from shared.tenancy.claims import NOT_AUTHENTICATED, Claims, InvalidToken


@dataclass(frozen=True, slots=True)
class Callers:
    """All that the authorizer needs to identify a caller."""

    tokens: IdTokens
    api_keys: ApiKeys
    environment: str

    def identify(self, authorization: str, *, now: datetime) -> Claims:
        """Return the caller with this `Authorization` header.

        Raises:
            InvalidToken: the header has no valid id token and no valid API key.
            DependencyUnavailable: it cannot be verified now.
        """
        credential = credential_of(authorization)
        if looks_like_key(credential):
            return self._by_key(credential, now=now)
        return claims_of_token(self.tokens.payload_of(credential))

    def _by_key(self, secret: str, *, now: datetime) -> Claims:
        if not is_well_formed(secret, environment=self.environment):
            raise InvalidToken(NOT_AUTHENTICATED)
        found = self.api_keys.find(hash_of(secret))
        if found is None:
            raise InvalidToken(NOT_AUTHENTICATED)
        claims = claims_of_key(found, now=now)
        self._mark_used(found, hour=now.replace(minute=0, second=0, microsecond=0))
        return claims

    def _mark_used(self, found: FoundKey, *, hour: datetime) -> None:
        """Record the hour of use at its first request. A failure is logged only: it must not stop the request."""
        if found.secret.last_used_at is not None and found.secret.last_used_at >= hour:
            return
        try:
            self.api_keys.mark_used(found, hour=hour)
        except DependencyUnavailable:
            logger.warning("last use not recorded", tenant_id=found.tenant_id, api_key_id=found.key.api_key_id)
