"""The audit log, whose entries are written once and never updated."""

from services.tenants.errors import TenantNotFound
from services.tenants.partitions import AUDIT
from services.tenants.tenants.table.counts import TenantCounts
from shared.events.envelope import Event
from shared.events.tenants import ChangeRecorded
from shared.storage.items import Item, Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import refuse_with
from shared.times import to_text


class AuditLog(TenantTable[Event[ChangeRecorded]]):
    """The changes in one tenant, each stored as the JSON of its event."""

    prefix = "ENTRY#"

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id, AUDIT)

    def id_of(self, record: Event[ChangeRecorded]) -> str:
        """Return the time and the id of the event, so that entries sort by time."""
        return f"{to_text(record.occurred_at)}#{record.id}"

    def item(self, record: Event[ChangeRecorded]) -> dict[str, Value]:
        """Return the item of an entry."""
        return {**self.key(self.id_of(record)).attributes, "entry": record.model_dump_json()}

    def decode(self, item: Item) -> Event[ChangeRecorded]:
        """Return the event in an item."""
        return Event[ChangeRecorded].model_validate_json(str(item["entry"]))

    def record(self, event: Event[ChangeRecorded]) -> None:
        """Store a change. It is idempotent. Changes of a deleted tenant are ignored."""
        transaction = self.transaction()
        self.add(transaction, event, otherwise=refuse_with(_Written()))
        TenantCounts(self.store, self.tenant_id).require_tenant(transaction)
        try:
            self.store.commit(transaction)
        except (_Written, TenantNotFound):
            return


class _Written(Exception):
    """The entry exists."""
