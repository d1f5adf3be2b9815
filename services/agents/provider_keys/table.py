"""Which keys a tenant has stored. The keys themselves are in the vault only."""

from services.agents.partitions import SLICE
from services.agents.provider_keys.domain import StoredKey
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.times import from_text, to_text

_PREFIX = "PROVIDERKEY#"


def list_keys(store: Store, tenant_id: str) -> list[StoredKey]:
    """Return the stored keys of a tenant by provider, at most one for each."""
    condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": SLICE.key(tenant_id), "prefix": _PREFIX})
    return [_from_item(item) for item in store.query_all(condition)]


def save_key(store: Store, tenant_id: str, stored: StoredKey) -> None:
    """Record that a key is stored, in place of the provider's earlier one."""
    transaction = Transaction(tenant_id)
    item: dict[str, Value] = {
        **_key(tenant_id, stored.provider).attributes,
        "provider": stored.provider,
        "base_url": stored.base_url,
        "since": to_text(stored.since),
    }
    transaction.put(item)
    store.commit(transaction)


def delete_key(store: Store, tenant_id: str, provider: str) -> None:
    """Record that a provider's key is deleted. Idempotent."""
    transaction = Transaction(tenant_id)
    transaction.delete(_key(tenant_id, provider))
    store.commit(transaction)


def _key(tenant_id: str, provider: str) -> Key:
    return Key(SLICE.key(tenant_id), f"{_PREFIX}{provider}")


def _from_item(item: Item) -> StoredKey:
    reader = Reader(item)
    return StoredKey(reader.text("provider"), reader.optional_text("base_url"), from_text(reader.text("since")))
