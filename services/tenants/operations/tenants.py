"""Tenants: created, changed, suspended, and led by what billing and metering say."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from services.tenants.domain import tenant as domain
from services.tenants.domain.limits import OwnLimits
from services.tenants.domain.settings import Settings, change_settings
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

T = TypeVar("T")

_MAX_ATTEMPTS = 5
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


def change_own_tenant(
    store: Store,
    tenant_id: str,
    change: TenantChange,
    settings_patch: Settings,
    *,
    now: datetime,
    if_match: str | None,
) -> tuple[Tenant, Settings]:
    """Merge what a tenant's admin may change of it, with a merge patch for its settings.

    Raises:
        SettingsTooLarge: all settings together would be over their limit.
    """

    def attempt() -> tuple[Tenant, Settings]:
        tenant, there = table.get_tenant_with_settings(store, tenant_id)
        check_if_match(if_match, tenant.seq)
        changed = change_settings(there.values, settings_patch)
        decided = replace(change, changes_settings=changed != there.values)
        after, events = domain.change_tenant(tenant, decided, now=now)
        if after is not tenant:
            written = table.SettingsChange(changed, seq_before=there.seq)
            table.save_tenant(store, after, events, seq_before=tenant.seq, settings=written)
        return after, changed

    return _until_unchanged(attempt)


def count_active(store: Store) -> dict[Plan, int]:
    """How many tenants are active, by plan."""
    found = Counter(tenant.plan for tenant in table.list_tenants(store) if tenant.status == "active")
    return {plan: found[plan] for plan in Plan}


def decide_on_tenant(
    store: Store, tenant_id: str, decide: Callable[[Tenant], domain.Change], *, if_match: str | None = None
) -> Tenant:
    """Load, decide and save, again after each concurrent change.

    Raises:
        TenantChangedMeanwhile: the tenant was changed at every attempt.
    """

    def attempt() -> Tenant:
        tenant = table.get_tenant_to_change(store, tenant_id)
        check_if_match(if_match, tenant.seq)
        after, events = decide(tenant)
        if after is not tenant:
            table.save_tenant(store, after, events, seq_before=tenant.seq)
        return after

    return _until_unchanged(attempt)


def _until_unchanged(attempt: Callable[[], T]) -> T:
    for _ in range(_MAX_ATTEMPTS):
        try:
            return attempt()
        except TenantChangedMeanwhile:
            continue
    raise TenantChangedMeanwhile
