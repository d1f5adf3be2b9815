"""The copy of a tenant's status, plan and limits that every service but tenants keeps in its own slice."""

from shared.copies.patience import read_until_there
from shared.declaration import Slice
from shared.events.envelope import Event
from shared.events.tenants import (
    TenantCreated,
    TenantDeletionRequested,
    TenantPlanChanged,
    TenantReactivated,
    TenantState,
    TenantSuspended,
    TenantUpdated,
)
from shared.plans import LIMITS, Plan
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.tenancy.context import Allowance, TenantAccess

TENANT_CHANGES: tuple[type[TenantState], ...] = (
    TenantUpdated,
    TenantPlanChanged,
    TenantSuspended,
    TenantReactivated,
)
TENANT_STATES = (TenantCreated, *TENANT_CHANGES, TenantDeletionRequested)
"""The events that the copy is kept from."""

DELETED = "deleted"
"""The status of a tombstone: it outlives whatever comes late."""


def access_key(owned: Slice, tenant_id: str) -> Key:
    """Where the copy lies."""
    return Key(owned.key(tenant_id), "COPY#TENANT")


def access_from_item(tenant_id: str, item: Item) -> TenantAccess:
    """The copy as it was kept; a tombstone allows nothing."""
    reader = Reader(item)
    if reader.text("status") == DELETED:
        return TenantAccess(tenant_id, reader.integer("seq"), DELETED, "", (), Allowance(0, 0, 0, overage=False))
    return TenantAccess(
        tenant_id=tenant_id,
        seq=reader.integer("seq"),
        status=reader.text("status"),
        plan=reader.text("plan"),
        enabled_features=reader.texts("enabled_features"),
        allowance=Allowance(
            requests_per_month=reader.integer("max_requests_per_month"),
            tokens_per_month=reader.integer("max_tokens_per_month"),
            storage_gb=reader.integer("max_storage_gb"),
            overage=reader.flag("overage"),
            concurrent_runs=_concurrent_runs(reader.text("plan"), reader.optional_integer("max_concurrent_runs")),
        ),
    )


class TenantAccessCopies:
    """Reads and keeps the copies of one service."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, tenant_id: str) -> TenantAccess:
        """The tenant as this service knows it.

        Raises:
            DependencyUnavailable: nothing has been heard of it; without its copy nothing is allowed.
        """
        key = access_key(self._store.owned, tenant_id)
        return access_from_item(tenant_id, read_until_there(lambda: self._store.get(key)))

    def keep(self, event: Event[TenantState]) -> None:
        """Write what the event says, unless something newer is there."""
        said = event.data
        write_if_newer(
            self._store,
            event.tenant_id,
            {
                **access_key(self._store.owned, event.tenant_id).attributes,
                "seq": event.seq,
                "status": said.status,
                "plan": said.plan,
                "enabled_features": said.limits.enabled_features,
                "max_requests_per_month": said.limits.max_requests_per_month,
                "max_tokens_per_month": said.limits.max_tokens_per_month,
                "max_storage_gb": said.limits.max_storage_gb,
                "max_concurrent_runs": _concurrent_runs(said.plan, said.limits.max_concurrent_runs),
                "overage": said.overage == "allow",
            },
        )

    def is_deleted(self, tenant_id: str) -> bool:
        """Whether the tenant is gone; of one that was never heard of it is not known."""
        item = self._store.get(access_key(self._store.owned, tenant_id))
        return item is not None and item["status"] == DELETED


def _concurrent_runs(plan: str, own: int | None) -> int:
    """The limit, or the plan's where the event or the copy is older than the limit."""
    return LIMITS[Plan(plan)].max_concurrent_runs if own is None else own


class _Older(Exception):
    """What is there is newer or the same."""


def write_if_newer(store: Store, tenant_id: str, copy: dict[str, Value]) -> None:
    """Write a copy over a lower `seq` only, so that the order in which events arrive does not matter."""
    transaction = Transaction(tenant_id)
    newer = Expression("attribute_not_exists(PK) OR #seq < :seq", {"seq": copy["seq"]})
    transaction.put(copy, when=newer, otherwise=lambda _: _Older())
    try:
        store.commit(transaction)
    except _Older:
        return
