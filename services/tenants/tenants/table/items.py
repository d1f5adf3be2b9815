"""The tenant's own item. Operators rely on the attribute names, and some of the items were created with AWS tools."""

from dataclasses import replace
from datetime import datetime

from services.tenants.errors import TenantChangedMeanwhile, TenantNotFound
from services.tenants.partitions import SLICE, config_key
from services.tenants.tenants.domain.limits import OwnLimits, derive_own_limits
from services.tenants.tenants.domain.tenant import CurrentUsage, Suspension, Tenant
from shared.plans import LIMITS, Plan, Quotas
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.items import Item, Reader, Value
from shared.storage.store import Store
from shared.storage.table import TenantTable
from shared.storage.transaction import PRESENT, Expression
from shared.times import to_text

TENANTS = DueIndex(SLICE, "TENANT")
"""The place of all tenants in the `due` index, by the time of their creation."""
_COUNTS = ("users", "projects", "storage_gb", "monthly_requests", "monthly_tokens")


class TenantItem(TenantTable[Tenant]):
    """The item of one tenant."""

    prefix = "CONFIG"
    codec = Codec(Tenant, names={"tenant_id": "tenantId"}, given=("own_limits", "usage"))
    not_found, changed = TenantNotFound, TenantChangedMeanwhile

    def __init__(self, store: Store, tenant_id: str) -> None:
        super().__init__(store, tenant_id)
        self.pk, _ = config_key(tenant_id)

    def find(self, record_id: str = "") -> Tenant | None:
        """Return the tenant, or None if it does not exist or was deleted."""
        item = self.store.get(self.key(record_id))
        return None if item is None or self.is_tombstone(item) else self.decode(item)

    def has_revision(self, revision: int) -> Expression:
        """Return the condition that the tenant has this version. One created with AWS tools has version 0."""
        if revision:
            return super().has_revision(revision)
        return Expression(f"{PRESENT.text} AND attribute_not_exists(#seq)")

    def item(self, record: Tenant) -> dict[str, Value]:
        """Return the item of a new tenant, with its counts."""
        return {
            **super().item(record),
            **_derived(record),
            "current_usage": {name: getattr(record.usage, name) for name in _COUNTS},
            "tenant_admins": 0,
        }

    def changed_to(self, tenant: Tenant) -> dict[str, Value]:
        """Return the attributes after a change; those that are None are removed. The counts are not among them."""
        return {**self.codec.all_values(tenant), **_derived(tenant)}

    def decode(self, item: Item) -> Tenant:
        """Return the tenant in an item. One created with AWS tools has no `seq`, and limits without own limits."""
        reader = Reader(item)
        tenant = self.codec.decode(
            {**item, "name": reader.text("name"), "seq": reader.optional_integer("seq") or 0},
            own_limits=_own_limits(item, Plan(reader.text("plan"))),
            usage=_usage(reader),
        )
        if tenant.suspension is None and item["status"] == "suspended":
            # An operator who suspends a tenant with AWS tools sets the status only.
            return replace(tenant, suspension=Suspension("", abuse=False, since=None))
        return tenant

    def tombstone(self, *, seq: int, now: datetime) -> dict[str, Value]:
        """Return the item that remains of a deleted tenant, so that its id is not reused."""
        return {
            **self.key().attributes,
            "tenantId": self.tenant_id,
            "status": "deleted",
            "seq": seq,
            "deleted_at": to_text(now),
        }

    @staticmethod
    def is_tombstone(item: Item) -> bool:
        """Return whether the tenant in this item is deleted."""
        return "deleted_at" in item


def _derived(tenant: Tenant) -> dict[str, Value]:
    return {
        "limits": tenant.limits.to_item(),
        "own_limits": dict(tenant.own_limits),
        "status": tenant.status,
        **TENANTS.place(tenant.created_at, tenant.tenant_id),
    }


def _own_limits(item: Item, plan: Plan) -> OwnLimits:
    if item.get("own_limits") is None:
        return derive_own_limits(plan, _limits(Reader(item).map("limits"), plan))
    own = Reader(item).map("own_limits")
    return {name: own.texts(name) if name == "enabled_features" else own.integer(name) for name in own.names}


def _limits(limits: Reader, plan: Plan) -> Quotas:
    concurrent_runs = limits.optional_integer("max_concurrent_runs")
    return Quotas(
        max_users=limits.integer("max_users"),
        max_projects=limits.integer("max_projects"),
        max_requests_per_month=limits.integer("max_requests_per_month"),
        max_tokens_per_month=limits.integer("max_tokens_per_month"),
        max_storage_gb=limits.integer("max_storage_gb"),
        max_concurrent_runs=LIMITS[plan].max_concurrent_runs if concurrent_runs is None else concurrent_runs,
        enabled_features=limits.texts("enabled_features"),
    )


def _usage(reader: Reader) -> CurrentUsage:
    counts = reader.map("current_usage")
    month = reader.optional_text("usage_month") or ""
    return CurrentUsage(*(counts.integer(name) for name in _COUNTS), month=month)
