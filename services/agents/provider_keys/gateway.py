"""Storage of the tenants' own provider keys in Secrets Manager. This service cannot read a stored key."""

import json
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from services.agents.errors import ProviderKeyNotFound, VaultUnavailable
from services.agents.provider_keys.domain import ProviderKey

_RECOVERABLE_DAYS = 7
"""The minimum recovery window of Secrets Manager, during which an operator can restore a deleted key."""
_NOT_FOUND, _MARKED_DELETED, _EXISTS = "ResourceNotFoundException", "InvalidRequestException", "ResourceExistsException"


class Vault(Protocol):
    """The store of tenants' provider keys."""

    def put(self, tenant_id: str, key: ProviderKey) -> None:
        """Store a key and replace an earlier one.

        Raises:
            VaultUnavailable: the key cannot be stored now.
        """
        ...

    def remove(self, tenant_id: str, provider: str) -> None:
        """Delete a key at once. An operator can restore it for seven days.

        Raises:
            ProviderKeyNotFound: the tenant has no key for this provider.
            VaultUnavailable: the key cannot be deleted now.
        """
        ...

    def destroy(self, tenant_id: str, provider: str) -> None:
        """Delete a key permanently, including one that is still recoverable. Idempotent.

        Raises:
            VaultUnavailable: the key cannot be deleted now.
        """
        ...


class SecretsVault:
    """The vault in Secrets Manager.

    Args:
        client: a Secrets Manager client with access to the tenant's secrets.
        environment: the environment's name, for example `dev`.
    """

    def __init__(self, client: Any, *, environment: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._prefix = f"ainexus-{environment}/tenants"

    def put(self, tenant_id: str, key: ProviderKey) -> None:
        """See `Vault.put`."""
        name, text = self._name(tenant_id, key.provider), json.dumps(key.to_document())
        known = {_EXISTS, _MARKED_DELETED}
        if _expected_error(lambda: self._client.create_secret(Name=name, SecretString=text), known) is None:
            return
        if self._replace(name, text, known={_MARKED_DELETED}) is None:
            return
        _expected_error(lambda: self._client.restore_secret(SecretId=name), {_MARKED_DELETED})
        self._replace(name, text)

    def remove(self, tenant_id: str, provider: str) -> None:
        """See `Vault.remove`."""
        name = self._name(tenant_id, provider)

        def delete() -> object:
            return self._client.delete_secret(SecretId=name, RecoveryWindowInDays=_RECOVERABLE_DAYS)

        if _expected_error(delete, {_NOT_FOUND, _MARKED_DELETED}):
            raise ProviderKeyNotFound

    def destroy(self, tenant_id: str, provider: str) -> None:
        """See `Vault.destroy`."""
        name = self._name(tenant_id, provider)
        _expected_error(
            lambda: self._client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True), {_NOT_FOUND}
        )

    def _replace(self, name: str, text: str, *, known: AbstractSet[str] = frozenset()) -> str | None:
        return _expected_error(lambda: self._client.put_secret_value(SecretId=name, SecretString=text), known)

    def _name(self, tenant_id: str, provider: str) -> str:
        return f"{self._prefix}/{tenant_id}/{provider}/key"


@dataclass
class FakeVault:
    """A vault in memory that tests can inspect."""

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


def _expected_error(call: Callable[[], object], known: AbstractSet[str] = frozenset()) -> str | None:
    """Return the code of the expected error that the call failed with, or None if it succeeded.

    Other errors are raised without their cause, because its traceback could show the key.
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
