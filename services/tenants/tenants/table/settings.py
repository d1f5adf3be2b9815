"""Storage of settings. They have an item of their own, so that their size never prevents a change of the tenant.

Earlier versions stored them in the tenant's item, where they remain until the first change of the tenant.
"""

from typing import cast

from services.tenants.errors import TenantChangedMeanwhile
from services.tenants.partitions import config_key
from services.tenants.tenants.domain.settings import Settings, StoredSettings
from shared.freejson import encode, loads_stored
from shared.storage.codec import Codec
from shared.storage.items import Item, Reader, Value
from shared.storage.table import TenantTable
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with

SETTINGS_ATTRIBUTE = "settings"
"""The attribute of the settings as JSON. In the tenant's item, earlier versions stored them under the same name."""


class SettingsTable(TenantTable[StoredSettings]):
    """The settings of one tenant."""

    prefix = "SETTINGS"
    codec = Codec(StoredSettings, given=("values",))

    def item(self, record: StoredSettings) -> dict[str, Value]:
        """Return the item of settings."""
        return {**super().item(record), SETTINGS_ATTRIBUTE: encode(record.values).decode()}

    def decode(self, item: Item) -> StoredSettings:
        """Return the settings in an item."""
        return self.codec.decode(item, values=_read(item))

    def of_items(self, config: Item, own: Item | None) -> StoredSettings:
        """Return the settings in their own item, or in the tenant's item if they have none."""
        return StoredSettings(_read(config)) if own is None else self.decode(own)

    def put(self, transaction: Transaction, settings: StoredSettings, *, seq_before: int | None) -> None:
        """Add the new settings to the transaction, which fails if their version is not `seq_before`."""
        unchanged = ABSENT if seq_before is None else self.has_revision(seq_before)
        transaction.put(self.item(settings), when=unchanged, otherwise=refuse_with(TenantChangedMeanwhile()))

    def move_from(self, config: Item) -> None:
        """Move settings out of the tenant's item. If they were moved before, the newer ones remain."""
        config_at = config_key(self.tenant_id)
        removed = Expression(f"REMOVE #{SETTINGS_ATTRIBUTE}")
        present = Expression(f"attribute_exists(#{SETTINGS_ATTRIBUTE})")
        own = {
            **self.key().attributes,
            SETTINGS_ATTRIBUTE: config[SETTINGS_ATTRIBUTE],
            "seq": config.get("seq", 0),
        }
        transaction = self.transaction(is_step=True)
        transaction.put(own, when=ABSENT, otherwise=refuse_with(_AlreadyMoved()))
        transaction.update(config_at, removed, when=present, otherwise=refuse_with(_AlreadyMoved()))
        try:
            self.store.commit(transaction)
        except _AlreadyMoved:
            self.store.update(config_at, removed, when=present)


class _AlreadyMoved(Exception):
    """The settings have an item of their own."""


def _read(item: Item) -> Settings:
    found: object = loads_stored(Reader(item).optional_text(SETTINGS_ATTRIBUTE) or "{}")
    return cast("Settings", found) if isinstance(found, dict) else {}
