"""Where the tenants' own keys of providers lie: Secrets Manager. Nothing here can read one."""

import json
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from services.agents.domain import ProviderKey
from services.agents.errors import ProviderKeyNotFound, VaultUnavailable

_RECOVERABLE_DAYS = 7
"""Secrets Manager's least; so long an operator can bring a deleted key back."""
_MISSING, _MARKED_DELETED, _THERE = "ResourceNotFoundException", "InvalidRequestException", "ResourceExistsException"


class Vault(Protocol):
    """Keeps the keys of the tenant that is acted for."""

    def put(self, tenant_id: str, key: ProviderKey) -> None:
        """Store a key, over the one of before.

        Raises:
            VaultUnavailable: it cannot be stored now.
        """
        ...

    def remove(self, tenant_id: str, provider: str) -> None:
        """Take a key out of use at once.

        Raises:
            ProviderKeyNotFound: there is none.
            VaultUnavailable: it cannot be removed now.
        """
        ...

    def destroy(self, tenant_id: str, provider: str) -> None:
        """Remove a key for good, if there is one, also one that was taken out of use.

        Raises:
            VaultUnavailable: it cannot be removed now.
        """
        ...


class SecretsVault:
    """The real one.

    Args:
        client: a Secrets Manager client that reaches the secrets of the tenant that is acted for.
        environment: whose secrets they are, for example `dev`.
    """

    def __init__(self, client: Any, *, environment: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._prefix = f"ainexus-{environment}/tenants"

    def put(self, tenant_id: str, key: ProviderKey) -> None:
        """See `Vault.put`."""
        name, text = self._name(tenant_id, key.provider), json.dumps(key.to_document())
        known = {_THERE, _MARKED_DELETED}
        if _refused(lambda: self._client.create_secret(Name=name, SecretString=text), known) is None:
            return
        if self._replace(name, text, known={_MARKED_DELETED}) is None:
            return
        _refused(lambda: self._client.restore_secret(SecretId=name), {_MARKED_DELETED})
        self._replace(name, text)

    def remove(self, tenant_id: str, provider: str) -> None:
        """See `Vault.remove`."""
        name = self._name(tenant_id, provider)

        def delete() -> object:
            return self._client.delete_secret(SecretId=name, RecoveryWindowInDays=_RECOVERABLE_DAYS)

        if _refused(delete, {_MISSING, _MARKED_DELETED}):
            raise ProviderKeyNotFound

    def destroy(self, tenant_id: str, provider: str) -> None:
        """See `Vault.destroy`."""
        name = self._name(tenant_id, provider)
        _refused(lambda: self._client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True), {_MISSING})

    def _replace(self, name: str, text: str, *, known: AbstractSet[str] = frozenset()) -> str | None:
        return _refused(lambda: self._client.put_secret_value(SecretId=name, SecretString=text), known)

    def _name(self, tenant_id: str, provider: str) -> str:
        return f"{self._prefix}/{tenant_id}/{provider}/key"


@dataclass
class FakeVault:
    """A vault in memory, in which tests can look."""

    keys: dict[tuple[str, str], ProviderKey] = field(default_factory=dict[tuple[str, str], ProviderKey])

    def put(self, tenant_id: str, key: ProviderKey) -> None:
        """See `Vault.put`."""
        self.keys[tenant_id, key.provider] = key

    def remove(self, tenant_id: str, provider: str) -> None:
        """See `Vault.remove`."""
        if self.keys.pop((tenant_id, provider), None) is None:
            raise ProviderKeyNotFound

    def destroy(self, tenant_id: str, provider: str) -> None:
        """See `Vault.destroy`."""
        self.keys.pop((tenant_id, provider), None)


def _refused(call: Callable[[], object], known: AbstractSet[str] = frozenset()) -> str | None:
    """Which of the known errors the call ended with; None: it went through.

    Whatever else goes wrong is told without its cause, whose traceback could show what was sent.
    """
    try:
        call()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in known:
            return code
        raise VaultUnavailable from None
    except BotoCoreError:
        raise VaultUnavailable from None
    return None
