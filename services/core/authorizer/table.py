"""Lookup of API keys by their secrets, in the items that the tenants service writes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core.authorizer.domain import FoundKey
from shared.api_keys.records import KEY_CODEC, KEY_PREFIX, SECRET_CODEC, SECRET_PREFIX, due_kind
from shared.declaration import Slice, Table
from shared.storage.items import Key, key_of
from shared.storage.store import Store
from shared.storage.transaction import Expression
from shared.times import to_text

TENANTS = Slice("TENANTS", Table.TENANTS, holds_tenant=True)
"""The slice of the tenants service."""


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The API keys of all tenants."""

    client: Any
    """A DynamoDB client with the authorizer's own role."""
    table: str

    def find(self, sha256: str) -> FoundKey | None:
        """Return the key that has a secret with this hash, or None."""
        store = self._store()
        found = store.query(
            Expression("#due_pk = :pk", {"pk": TENANTS.due_key(due_kind(sha256))}), index="due", limit=1
        )
        if not found.items:
            return None
        secret_key = key_of(found.items[0])
        tenant_id = secret_key.pk.split("#")[1]
        api_key_id = secret_key.sk.removeprefix(SECRET_PREFIX).partition("#")[0]
        own_key = Key(secret_key.pk, KEY_PREFIX + api_key_id)
        tenant_key = Key(TENANTS.tenant_key(tenant_id), "CONFIG")
        items = store.get_many([secret_key, own_key, tenant_key])
        if len(items) < len((secret_key, own_key, tenant_key)):
            return None
        return FoundKey(
            tenant_id=tenant_id,
            tenant_status=str(items[tenant_key]["status"]),
            key=KEY_CODEC.decode(items[own_key], api_key_id=api_key_id),
            secret=SECRET_CODEC.decode(items[secret_key]),
        )

    def mark_used(self, found: FoundKey, *, hour: datetime) -> None:
        """Record the hour in which a key was used. A later hour is never replaced by an earlier one."""
        self._store().update(
            Key(TENANTS.key(found.tenant_id), SECRET_PREFIX + found.secret.secret_id),
            Expression("SET #last_used_at = :hour", {"hour": to_text(hour)}),
            when=Expression(
                "attribute_exists(PK) AND (attribute_not_exists(#last_used_at) OR #last_used_at < :hour)",
                {"hour": to_text(hour)},
            ),
        )

    def _store(self) -> Store:
        return Store(self.client, table=self.table, owned=TENANTS)
