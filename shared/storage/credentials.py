"""The tenant's own key to the data: a role assumed with the session tag `tenant_id`.

One client serves all tenants of a container: it asks for credentials at each call, and gets those of the tenant that
the current context is bound to. Outside of such a context there are none, and the call fails.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from shared.aws.signing import Keys

_bound_tenant: ContextVar[str | None] = ContextVar("bound_tenant", default=None)
_RENEW_BEFORE_END = timedelta(minutes=5)


class TokenService(Protocol):
    """The call that is made; boto3's STS client has it."""

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — botocore's answers have no static type
        """AssumeRole."""


class NoTenantBound(RuntimeError):
    """Data was to be read outside of any tenant's context."""


@contextmanager
def acting_for(tenant_id: str) -> Generator[None]:
    """Everything in this block reaches the data of this tenant only."""
    token = _bound_tenant.set(tenant_id)
    try:
        yield
    finally:
        _bound_tenant.reset(token)


class TenantCredentials:
    """Credentials of the tenant that the current context acts for, cached per tenant until shortly before their end."""

    def __init__(self, tokens: Callable[[], TokenService], *, role_arn: str) -> None:
        self._tokens = tokens
        self._role_arn = role_arn
        self._cache: dict[str, tuple[Keys, datetime]] = {}

    def keys(self) -> Keys:
        """What a call is signed with.

        Raises:
            NoTenantBound: the call is made outside of `acting_for`.
        """
        tenant_id = _bound_tenant.get()
        if tenant_id is None:
            msg = "no tenant is bound to this call"
            raise NoTenantBound(msg)
        keys, ends = self._cache.get(tenant_id, (None, None))
        if keys is None or ends is None or ends - _RENEW_BEFORE_END <= datetime.now(UTC):
            keys, ends = self._assume(tenant_id)
            self._cache[tenant_id] = (keys, ends)
        return keys

    def _assume(self, tenant_id: str) -> tuple[Keys, datetime]:
        answer = self._tokens().assume_role(
            RoleArn=self._role_arn,
            RoleSessionName=f"tenant-{tenant_id}"[:64],
            Tags=[{"Key": "tenant_id", "Value": tenant_id}],
        )["Credentials"]
        keys = Keys(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        return keys, answer["Expiration"]
