"""Credentials limited to one tenant's data: a role assumed with the session tag `tenant_id`.

One client serves all tenants of a container: it requests credentials for each call, and receives those of the tenant
that the current scope is bound to. Without a bound tenant there are none, and the call fails.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.errors import is_passing
from shared.aws.signing import Keys
from shared.errors import DependencyUnavailable
from shared.scope import Opened, current, narrowed

_RENEW_BEFORE_END = timedelta(minutes=5)
MAX_SESSIONS = 1_000
"""Tenants whose session a container caches, about 2 KB each; the oldest is dropped first."""


class TokenService(Protocol):
    """The operation that is called, as in boto3's STS client."""

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """Call AssumeRole."""


class NoTenantBound(RuntimeError):
    """Data was accessed outside of a tenant's context."""


def acting_for(tenant_id: str) -> Opened:
    """Limit all access to data in this block to one tenant."""
    return narrowed(tenant_id=tenant_id)


class TenantCredentials:
    """Credentials of the current scope's tenant, cached per tenant until shortly before they expire."""

    def __init__(self, tokens: Callable[[], TokenService], *, role_arn: str) -> None:
        self._tokens = tokens
        self._role_arn = role_arn
        self._cache: dict[str, tuple[Keys, datetime]] = {}

    def keys(self) -> Keys:
        """Return the keys that sign a call.

        Raises:
            NoTenantBound: the call is made outside of `acting_for`.
            DependencyUnavailable: no session is available now, and no cached one is valid.
        """
        tenant_id = current().tenant_id
        if tenant_id is None:
            msg = "no tenant is bound to this call"
            raise NoTenantBound(msg)
        keys, ends = self._cache.get(tenant_id, (None, None))
        if keys is None or ends is None or ends - _RENEW_BEFORE_END <= datetime.now(UTC):
            return self._renew(tenant_id)
        return keys

    def _renew(self, tenant_id: str) -> Keys:
        try:
            renewed = self._assume(tenant_id)
        except DependencyUnavailable:
            keys, ends = self._cache.get(tenant_id, (None, None))
            if keys and ends and ends > datetime.now(UTC):
                return keys
            raise
        self._cache.pop(tenant_id, None)
        # A copy of the keys, because other threads add theirs at the same time.
        for oldest in list(self._cache)[: -MAX_SESSIONS + 1]:
            self._cache.pop(oldest, None)
        self._cache[tenant_id] = renewed
        return renewed[0]

    def _assume(self, tenant_id: str) -> tuple[Keys, datetime]:
        try:
            answer = self._tokens().assume_role(
                RoleArn=self._role_arn,
                RoleSessionName=f"tenant-{tenant_id}"[:64],
                Tags=[{"Key": "tenant_id", "Value": tenant_id}],
            )["Credentials"]
        except ClientError as error:
            if not is_passing(error):
                raise
            raise _unavailable() from error
        except BotoCoreError as error:
            raise _unavailable() from error
        keys = Keys(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        return keys, answer["Expiration"]


def _unavailable() -> DependencyUnavailable:
    return DependencyUnavailable("Access to the tenant's data cannot be granted now; try again.", retry_after_s=1)
