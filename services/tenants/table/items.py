"""Tenants as items, and back; the attribute names are those that operators know."""

from datetime import datetime

from services.tenants.domain.limits import OwnLimits, own_limits_in
from services.tenants.domain.tenant import BillingWord, CurrentUsage, Deletion, Suspension, Tenant
from services.tenants.table import SLICE, config_key
from shared.plans import LIMITS, Limits, Plan
from shared.storage.items import Item, Reader, Value
from shared.times import from_text, to_text

TENANTS = SLICE.due_key("TENANT")
"""Where all tenants are found, by the time they were made."""


def tenant_to_item(tenant: Tenant) -> dict[str, Value]:
    """The tenant as it is stored, with the counts of one that has nothing yet."""
    usage, suspension, billing, deletion = tenant.usage, tenant.suspension, tenant.billing, tenant.deletion
    return {
        **config_key(tenant.tenant_id).attributes,
        "tenantId": tenant.tenant_id,
        "name": tenant.name,
        "plan": tenant.plan,
        "limits": tenant.limits.to_item(),
        "own_limits": dict(tenant.own_limits),
        "current_usage": {
            "users": usage.users,
            "projects": usage.projects,
            "storage_gb": usage.storage_gb,
            "monthly_requests": usage.monthly_requests,
            "monthly_tokens": usage.monthly_tokens,
        },
        "tenant_admins": 0,
        "wants_overage": tenant.wants_overage,
        "status": tenant.status,
        "suspension": suspension
        and {"reason": suspension.reason, "abuse": suspension.abuse, "since": _text(suspension.since)},
        "billing": {"suspended": billing.suspended, "grace_until": _text(billing.grace_until), "seq": billing.seq},
        "deletion": deletion
        and {"requested_by": deletion.requested_by, "requested_at": to_text(deletion.requested_at)},
        "seq": tenant.seq,
        "created_at": to_text(tenant.created_at),
        "updated_at": to_text(tenant.updated_at),
        "due_pk": TENANTS,
        "due_sk": f"{to_text(tenant.created_at)}#{tenant.tenant_id}",
    }


def tenant_from_item(item: Item) -> Tenant:
    """The tenant in this item; one that was made with AWS tools has no `seq` yet, and limits but none of its own."""
    reader = Reader(item)
    plan = Plan(reader.text("plan"))
    return Tenant(
        tenant_id=reader.text("tenantId"),
        name=reader.text("name"),
        plan=plan,
        own_limits=_own_limits(item, plan),
        usage=_usage(reader),
        wants_overage=reader.flag("wants_overage"),
        suspension=_suspension(item),
        billing=_billing(item),
        deletion=_deletion(item),
        seq=reader.optional_integer("seq") or 0,
        created_at=from_text(reader.text("created_at")),
        updated_at=from_text(reader.text("updated_at")),
    )


def tombstone(tenant: Tenant, *, seq: int, now: datetime) -> dict[str, Value]:
    """What is left of a tenant: nothing that anybody could use again."""
    return {
        **config_key(tenant.tenant_id).attributes,
        "tenantId": tenant.tenant_id,
        "status": "deleted",
        "seq": seq,
        "deleted_at": to_text(now),
    }


def is_tombstone(item: Item) -> bool:
    """Whether the tenant in this item is no more."""
    return "deleted_at" in item


def _own_limits(item: Item, plan: Plan) -> OwnLimits:
    if item.get("own_limits") is None:
        return own_limits_in(plan, _limits(Reader(item).map("limits"), plan))
    own = Reader(item).map("own_limits")
    return {name: own.texts(name) if name == "enabled_features" else own.integer(name) for name in own.names}


def _limits(limits: Reader, plan: Plan) -> Limits:
    concurrent_runs = limits.optional_integer("max_concurrent_runs")
    return Limits(
        max_users=limits.integer("max_users"),
        max_projects=limits.integer("max_projects"),
        max_requests_per_month=limits.integer("max_requests_per_month"),
        max_tokens_per_month=limits.integer("max_tokens_per_month"),
        max_storage_gb=limits.integer("max_storage_gb"),
        max_concurrent_runs=LIMITS[plan].max_concurrent_runs if concurrent_runs is None else concurrent_runs,
        enabled_features=limits.texts("enabled_features"),
    )


def _usage(reader: Reader) -> CurrentUsage:
    usage = reader.map("current_usage")
    return CurrentUsage(
        users=usage.integer("users"),
        projects=usage.integer("projects"),
        storage_gb=usage.integer("storage_gb"),
        monthly_requests=usage.integer("monthly_requests"),
        monthly_tokens=usage.integer("monthly_tokens"),
        month=reader.optional_text("usage_month") or "",
    )


def _suspension(item: Item) -> Suspension | None:
    part = _part(item, "suspension")
    if part:
        return Suspension(part.text("reason"), part.flag("abuse"), _time(part, "since"))
    # Whoever works with AWS tools sets the status alone.
    return Suspension("", abuse=False, since=None) if item["status"] == "suspended" else None


def _billing(item: Item) -> BillingWord:
    part = _part(item, "billing")
    if part is None:
        return BillingWord()
    return BillingWord(part.flag("suspended"), _time(part, "grace_until"), part.integer("seq"))


def _deletion(item: Item) -> Deletion | None:
    part = _part(item, "deletion")
    return Deletion(part.text("requested_by"), from_text(part.text("requested_at"))) if part else None


def _part(item: Item, name: str) -> Reader | None:
    return Reader(item).map(name) if item.get(name) else None


def _text(moment: datetime | None) -> str | None:
    return to_text(moment) if moment else None


def _time(reader: Reader, name: str) -> datetime | None:
    text = reader.optional_text(name)
    return from_text(text) if text else None
