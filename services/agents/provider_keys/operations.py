"""Operations on a tenant's own keys for providers."""

from datetime import datetime

from services.agents.base_urls.domain import BaseUrlPolicy
from services.agents.errors import BaseUrlNotAllowed, ProviderKeyNotFound, UnknownProvider
from services.agents.provider_keys import table
from services.agents.provider_keys.domain import PROVIDERS_WITH_KEYS, ProviderKey, StoredKey
from services.agents.provider_keys.gateway import Vault
from shared.models.hosts import HostKind, host_kind
from shared.storage.store import Store

_AZURE_SERVER_MISSING = "must be the address of Azure OpenAI, such as https://NAME.openai.azure.com/openai/v1"


def put_provider_key(
    store: Store, vault: Vault, tenant_id: str, key: ProviderKey, *, base_urls: BaseUrlPolicy, now: datetime
) -> StoredKey:
    """Store a tenant's own key for a provider. It replaces the earlier key and its server.

    Raises:
        UnknownProvider: tenants cannot have their own key for this provider.
        BaseUrlNotAllowed: the key is for a server that is not allowed in this environment, or a key for Azure is for
            another server.
    """
    _check_provider(key.provider)
    base_urls.check(key.base_url, field="base_url")
    if key.provider == "azure" and host_kind(key.base_url or "") is not HostKind.AZURE:
        raise BaseUrlNotAllowed(field="base_url", message=_AZURE_SERVER_MISSING)
    vault.put(tenant_id, key)
    stored = StoredKey(key.provider, key.base_url, now)
    table.save_key(store, tenant_id, stored)
    return stored


def remove_provider_key(store: Store, vault: Vault, tenant_id: str, provider: str) -> None:
    """Delete a tenant's own key for a provider.

    Raises:
        UnknownProvider: tenants cannot have their own key for this provider.
        ProviderKeyNotFound: the tenant has no key for this provider.
    """
    _check_provider(provider)
    try:
        vault.remove(tenant_id, provider)
    except ProviderKeyNotFound:
        # An earlier attempt may have failed between the vault and the table.
        if any(stored.provider == provider for stored in table.list_keys(store, tenant_id)):
            table.delete_key(store, tenant_id, provider)
        raise
    table.delete_key(store, tenant_id, provider)


def destroy_provider_keys(vault: Vault, tenant_id: str) -> None:
    """Delete all keys of a deleted tenant permanently. Idempotent."""
    for provider in PROVIDERS_WITH_KEYS:
        vault.destroy(tenant_id, provider)


def _check_provider(provider: str) -> None:
    if provider not in PROVIDERS_WITH_KEYS:
        raise UnknownProvider
