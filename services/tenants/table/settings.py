"""Settings have an item of their own, so that their size never stands in the way of a change of the tenant.

Earlier versions kept them in the tenant's item. There they are found as long as nothing of the tenant has changed.
"""

from typing import cast

from services.tenants.domain.settings import Settings, StoredSettings
from services.tenants.errors import TenantChangedMeanwhile
from services.tenants.table import SLICE, config_key
from shared.freejson import encode, loads_stored
from shared.storage.items import Item, Key, Reader
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with

IN_TENANT = "settings"
"""The attribute of the tenant's item in which earlier versions kept the settings."""


def settings_key(tenant_id: str) -> Key:
    """Return the key of a tenant's settings."""
    return Key(SLICE.key(tenant_id), "SETTINGS")


def settings_from_items(config: Item, own: Item | None) -> StoredSettings:
    """Read settings from their own item, or else from the tenant's."""
    if own is None:
        return StoredSettings(_read(config))
    return StoredSettings(_read(own), Reader(own).integer("seq"))


def put_settings(transaction: Transaction, settings: Settings, *, seq: int, seq_before: int | None) -> None:
    """Let the transaction write settings over the version that they were merged with."""
    unchanged = ABSENT if seq_before is None else Expression("#seq = :seq_before", {"seq_before": seq_before})
    transaction.put(
        {
            **settings_key(transaction.tenant_id).attributes,
            IN_TENANT: encode(settings).decode(),
            "seq": seq,
        },
        when=unchanged,
        otherwise=refuse_with(TenantChangedMeanwhile()),
    )


def move_settings(store: Store, tenant_id: str, config: Item) -> None:
    """Move settings out of the tenant's item; where they have been moved meanwhile, the newer ones stay."""
    removed = Expression(f"REMOVE #{IN_TENANT}")
    there = Expression(f"attribute_exists(#{IN_TENANT})")
    own = {**settings_key(tenant_id).attributes, IN_TENANT: config[IN_TENANT], "seq": config.get("seq", 0)}
    transaction = Transaction(tenant_id, is_step=True)
    transaction.put(own, when=ABSENT, otherwise=refuse_with(_Moved()))
    transaction.update(config_key(tenant_id), removed, when=there, otherwise=refuse_with(_Moved()))
    try:
        store.commit(transaction)
    except _Moved:
        store.update(config_key(tenant_id), removed, when=there)


class _Moved(Exception):
    """The settings have an item of their own."""


def _read(item: Item) -> Settings:
    found: object = loads_stored(Reader(item).optional_text(IN_TENANT) or "{}")
    return cast("Settings", found) if isinstance(found, dict) else {}
