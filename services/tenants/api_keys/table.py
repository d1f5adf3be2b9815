"""Storage of API keys; `shared.api_keys.records` describes the items, which the authorizer reads."""

from collections import defaultdict
from collections.abc import Sequence

from services.tenants.api_keys.domain import MAX_API_KEYS, Rotation
from services.tenants.errors import ApiKeyChangedMeanwhile, ApiKeyLimitReached, ApiKeyNotFound
from services.tenants.partitions import SLICE
from services.tenants.tenants.table.counts import TenantCounts
from shared.api_keys.domain import ApiKey, ApiSecret
from shared.api_keys.records import KEY_CODEC, KEY_PREFIX, SECRET_CODEC, SECRET_PREFIX, due_kind
from shared.storage.due import DueIndex
from shared.storage.idempotency import IdempotencyKey
from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import refuse_with
from shared.times import epoch


class _Secrets(TenantTable[ApiSecret]):
    """The secrets of a tenant's API keys."""

    prefix, id_field = SECRET_PREFIX, "secret_id"
    codec = SECRET_CODEC

    def indexed(self, record: ApiSecret) -> dict[str, Value]:
        """Return the attributes by which the authorizer finds the secret, and by which DynamoDB deletes an old one."""
        place = DueIndex(SLICE, due_kind(record.sha256)).place(record.created_at)
        return place if record.expires_at is None else {**place, "ttl": epoch(record.expires_at)}

    def between(self, first: str, last: str) -> dict[str, list[ApiSecret]]:
        """Return the secrets of the keys from one id to another, both included, by key."""
        found: dict[str, list[ApiSecret]] = defaultdict(list)
        for item in self.items_between(self.pk, f"{self.prefix}{first}#", f"{self.prefix}{last}#~"):
            secret = self.decode(item)
            found[secret.api_key_id].append(secret)
        return found


class ApiKeyTable(TenantTable[ApiKey]):
    """The API keys of one tenant."""

    prefix, id_field = KEY_PREFIX, "api_key_id"
    codec = KEY_CODEC
    not_found, changed = ApiKeyNotFound, ApiKeyChangedMeanwhile

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id)
        self._counts = TenantCounts(store, tenant_id)
        self._secrets = _Secrets(store, tenant_id)

    def secrets(self, api_key_id: str) -> list[ApiSecret]:
        """Return the secrets of a key, also those that have expired and are not deleted yet."""
        return self._secrets.between(api_key_id, api_key_id)[api_key_id]

    def secrets_of(self, keys: Sequence[ApiKey]) -> dict[str, list[ApiSecret]]:
        """Return the secrets of a page of keys, by key."""
        ids = [key.api_key_id for key in keys]
        return self._secrets.between(min(ids), max(ids)) if ids else {}

    def create(self, key: ApiKey, secret: ApiSecret, *, idempotency_key: IdempotencyKey | None) -> None:
        """Write a new key with its secret and count it, in one transaction.

        Raises:
            ApiKeyLimitReached: the tenant has the maximum number of keys.
            AlreadyDone: an earlier attempt of this request has succeeded.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=key.api_key_id)
        self._counts.add_api_key(transaction, maximum=MAX_API_KEYS, otherwise=refuse_with(ApiKeyLimitReached()))
        self.add(transaction, key)
        self._secrets.add(transaction, secret)
        self.store.commit(transaction)

    def save(self, key: ApiKey) -> None:
        """Replace the previous version of a key.

        Raises:
            ApiKeyChangedMeanwhile: another request changed the key.
            ApiKeyNotFound: the key was deleted.
        """
        transaction = self.transaction()
        self.replace(transaction, key)
        self.store.commit(transaction)

    def rotate(self, rotation: Rotation) -> None:
        """Write a key's new secret, the end of the previous one, and delete the others, in one transaction.

        Raises:
            ApiKeyChangedMeanwhile: another request changed the key.
            ApiKeyNotFound: the key was deleted.
        """
        transaction = self.transaction()
        self.replace(transaction, rotation.key)
        self._secrets.add(transaction, rotation.new)
        if rotation.overlapping:
            transaction.put(self._secrets.item(rotation.overlapping))
        for removed in rotation.removed:
            transaction.delete(self._secrets.key(removed.secret_id))
        self.store.commit(transaction)

    def remove(self, key: ApiKey, secrets: Sequence[ApiSecret]) -> None:
        """Delete a key with its secrets, in one transaction.

        Raises:
            ApiKeyChangedMeanwhile: another request changed the key.
            ApiKeyNotFound: the key was deleted before.
        """
        transaction = self.transaction()
        self.delete(transaction, key)
        for secret in secrets:
            transaction.delete(self._secrets.key(secret.secret_id))
        self._counts.remove_api_key(transaction)
        self.store.commit(transaction)
