"""Tenants: created, changed, suspended, and led by what billing and metering say."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.tenants.domain import tenant as domain
from services.tenants.domain.limits import OwnLimits
from services.tenants.domain.tenant import Tenant, TenantChange
from services.tenants.errors import TenantChangedMeanwhile
from services.tenants.table import tenants as table
from shared.errors import InvalidRequest
from shared.events.billing import SubscriptionChanged
from shared.events.envelope import Event
from shared.events.metering import UsageSummarised
from shared.http.etag import check_if_match
from shared.ids import TENANT_ID
from shared.plans import Plan
from shared.storage.idempotency import Once
from shared.storage.store import Store

_TRIES = 5
_GIGABYTE = 10**9


def create_tenant(
    store: Store,
    tenant_id: str,
    *,
    name: str,
    plan: Plan,
    own_limits: OwnLimits | None = None,
    now: datetime,
    once: Once | None = None,
) -> Tenant:
    """A new tenant; the other services hear of it.

    Raises:
        InvalidRequest: the id is no slug.
        TenantExists: the id is taken, or was.
    """
    if not TENANT_ID.fullmatch(tenant_id):
        msg = "A tenant's id has 2 to 63 small letters, digits and hyphens, and does not begin with a hyphen."
        raise InvalidRequest(msg)
    tenant, events = domain.create_tenant(tenant_id, name=name, plan=plan, own_limits=own_limits or {}, now=now)
    table.add_tenant(store, tenant, events, once=once)
    return tenant


def change_tenant(
    store: Store, tenant_id: str, change: TenantChange, *, now: datetime, if_match: str | None = None
) -> Tenant:
    """Merge a change into a tenant."""
    return decide_on_tenant(
        store, tenant_id, lambda there: domain.change_tenant(there, change, now=now), if_match=if_match
    )


def suspend_tenant(store: Store, tenant_id: str, *, reason: str, abuse: bool, now: datetime) -> Tenant:
    """Let nothing be changed in a tenant; reading goes on."""
    return decide_on_tenant(
        store, tenant_id, lambda there: domain.suspend_tenant(there, reason=reason, abuse=abuse, now=now)
    )


def reactivate_tenant(store: Store, tenant_id: str, *, now: datetime) -> Tenant:
    """Lift an operator's suspension."""
    return decide_on_tenant(store, tenant_id, lambda there: domain.reactivate_tenant(there, now=now))


def follow_subscription(store: Store, event: Event[SubscriptionChanged]) -> None:
    """Take over what billing has decided: plan, grace and suspension."""
    said, seq, at = event.data, event.seq, event.occurred_at
    decide_on_tenant(store, event.tenant_id, lambda there: domain.follow_subscription(there, said, seq=seq, now=at))


def keep_usage(store: Store, event: Event[UsageSummarised]) -> None:
    """Show what metering has summed up, unless something newer is shown."""
    said = event.data
    table.keep_usage(
        store,
        event.tenant_id,
        month=said.month,
        seq=event.seq,
        requests=said.requests,
        tokens=said.tokens,
        storage_gb=-(-said.storage_bytes // _GIGABYTE),
    )


def merged_settings(settings: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The settings after a merge patch (RFC 7396)."""
    merged = dict(settings)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            there = merged.get(name)
            merged[name] = merged_settings(there if isinstance(there, Mapping) else {}, value)  # pyright: ignore[reportUnknownArgumentType] — any JSON
        else:
            merged[name] = value
    return merged


def change_own_tenant(
    store: Store,
    tenant_id: str,
    change: TenantChange,
    settings: Mapping[str, Any] | None,
    *,
    now: datetime,
    if_match: str | None,
) -> Tenant:
    """Merge what a tenant's admin may change of it, with a merge patch for its settings."""

    def decide(there: Tenant) -> domain.Change:
        wanted = None if settings is None else merged_settings(there.settings, settings)
        return domain.change_tenant(there, replace(change, settings=wanted), now=now)

    return decide_on_tenant(store, tenant_id, decide, if_match=if_match)


def count_active(store: Store) -> dict[Plan, int]:
    """How many tenants are active, by plan."""
    found = Counter(tenant.plan for tenant in table.list_tenants(store) if tenant.status == "active")
    return {plan: found[plan] for plan in Plan}


def decide_on_tenant(
    store: Store, tenant_id: str, decide: Callable[[Tenant], domain.Change], *, if_match: str | None = None
) -> Tenant:
    """Load, decide, save; and again when somebody else was faster."""
    for _ in range(_TRIES):
        tenant = table.get_tenant(store, tenant_id)
        check_if_match(if_match, tenant.seq)
        after, events = decide(tenant)
        if after is tenant:
            return tenant
        try:
            table.save_tenant(store, after, events, seq_before=tenant.seq)
        except TenantChangedMeanwhile:
            continue
        return after
    raise TenantChangedMeanwhile
