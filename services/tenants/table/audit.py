"""The audit: entries are written once, and never changed."""

from services.tenants.errors import TenantNotFound
from services.tenants.table import SLICE
from services.tenants.table.counts import require_tenant
from shared.events.envelope import Event
from shared.events.tenants import ChangeRecorded
from shared.storage.items import Key
from shared.storage.listing import newest_first
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Transaction, refuse_with
from shared.times import to_text

_PREFIX = "ENTRY#"


class _Written(Exception):
    """The entry is there."""


def add_entry(store: Store, tenant_id: str, event: Event[ChangeRecorded]) -> None:
    """Write down a change, once; of a tenant that is gone nothing is kept."""
    key = Key(SLICE.key(tenant_id, "AUDIT"), f"{_PREFIX}{to_text(event.occurred_at)}#{event.id}")
    transaction = Transaction(tenant_id)
    transaction.put(
        {**key.attributes, "entry": event.model_dump_json()}, when=ABSENT, otherwise=refuse_with(_Written())
    )
    require_tenant(transaction)
    try:
        store.commit(transaction)
    except (_Written, TenantNotFound):
        return


def page_of_entries(
    store: Store, tenant_id: str, *, limit: int, after: str | None
) -> tuple[list[Event[ChangeRecorded]], str | None]:
    """A page of the audit, newest first, and the place to go on from."""
    pk = SLICE.key(tenant_id, "AUDIT")
    items, place = newest_first(store, pk=pk, prefix=_PREFIX, limit=limit, after=after)
    return [Event[ChangeRecorded].model_validate_json(str(item["entry"])) for item in items], place
