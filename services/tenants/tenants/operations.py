"""Operations on tenants, including those that apply events of billing and metering."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from services.tenants.errors import TenantBeingDeleted, TenantNotFound
from services.tenants.tenants.domain import tenant as domain
from services.tenants.tenants.domain.limits import OwnLimits
from services.tenants.tenants.domain.settings import LINT_GATE, Settings, change_settings, lint_gate_of
from services.tenants.tenants.domain.tenant import Tenant, TenantChange
from services.tenants.tenants.table.tenants import AllTenants, SettingsChange, TenantRecord
from shared.deadline import remaining_s
from shared.errors import InvalidRequest
from shared.events.billing import SubscriptionChanged
from shared.events.envelope import Event
from shared.events.metering import UsageSummarised
from shared.ids import TENANT_ID
from shared.plans import Plan
from shared.preconditions import check_if_match
from shared.storage.idempotency import IdempotencyKey
from shared.storage.retry import retry_on_conflict
from shared.storage.store import Store

_BYTES_PER_GB = 10**9


def create_tenant(
    store: Store,
    tenant_id: str,
    *,
    name: str,
    plan: Plan,
    own_limits: OwnLimits | None = None,
    now: datetime,
    idempotency_key: IdempotencyKey | None = None,
) -> Tenant:
    """Create a tenant and publish its event.

    Raises:
        InvalidRequest: the id is not a valid slug.
        TenantExists: the id belongs to a tenant or belonged to a deleted one.
    """
    if not TENANT_ID.fullmatch(tenant_id):
        msg = "A tenant id has 2 to 63 lowercase letters, digits and hyphens, and does not begin with a hyphen."
        raise InvalidRequest(msg)
    tenant, events = domain.create_tenant(tenant_id, name=name, plan=plan, own_limits=own_limits or {}, now=now)
    TenantRecord(store, tenant_id).create(tenant, events, idempotency_key=idempotency_key)
    return tenant


def change_tenant(
    store: Store, tenant_id: str, change: TenantChange, *, now: datetime, if_match: str | None = None
) -> Tenant:
    """Merge a change into a tenant."""
    return decide_on_tenant(
        store, tenant_id, lambda tenant: domain.change_tenant(tenant, change, now=now), if_match=if_match
    )


def suspend_tenant(store: Store, tenant_id: str, *, reason: str, abuse: bool, now: datetime) -> Tenant:
    """Suspend a tenant: it can be read, but not changed."""
    return decide_on_tenant(
        store, tenant_id, lambda tenant: domain.suspend_tenant(tenant, reason=reason, abuse=abuse, now=now)
    )


def reactivate_tenant(store: Store, tenant_id: str, *, now: datetime) -> Tenant:
    """Lift an operator's suspension. A suspension by billing remains."""
    return decide_on_tenant(store, tenant_id, lambda tenant: domain.reactivate_tenant(tenant, now=now))


def request_deletion(store: Store, tenant_id: str, *, by: str, now: datetime, if_match: str | None = None) -> Tenant:
    """Begin to delete a tenant: nothing new can begin in it, and its runs end.

    Raises:
        TenantNotFound: the tenant does not exist, or its deletion was requested before.
    """

    def decide(tenant: Tenant) -> domain.TenantRevision:
        check_if_match(if_match, tenant.seq)
        return domain.request_deletion(tenant, by=by, now=now)

    try:
        return decide_on_tenant(store, tenant_id, decide)
    except TenantBeingDeleted as error:
        raise TenantNotFound from error


def announce_tenant(store: Store, tenant_id: str, *, now: datetime) -> bool:
    """Publish the first event of a tenant that was created with AWS tools. Return False if it was published before.

    Raises:
        TenantNotFound: the tenant does not exist or was deleted.
        TenantChangedMeanwhile: the tenant was changed meanwhile.
    """
    record = TenantRecord(store, tenant_id)
    tenant, events = domain.announce(record.get(), now=now)
    if events:
        record.save(tenant, events, seq_before=0)
    return bool(events)


def apply_subscription(store: Store, event: Event[SubscriptionChanged]) -> None:
    """Apply the plan, grace period and suspension that billing has decided."""
    payload, seq, at = event.data, event.seq, event.occurred_at
    decide_on_tenant(
        store, event.tenant_id, lambda existing: domain.apply_subscription(existing, payload, seq=seq, now=at)
    )


def save_usage(store: Store, event: Event[UsageSummarised]) -> None:
    """Store a usage summary of metering, unless a newer one is stored."""
    payload = event.data
    TenantRecord(store, event.tenant_id).save_usage(
        month=payload.month,
        seq=event.seq,
        requests=payload.requests,
        tokens=payload.tokens,
        storage_gb=-(-payload.storage_bytes // _BYTES_PER_GB),
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
    """Merge a change by a tenant's admin into the tenant, and a patch into its settings.

    Raises:
        SettingsTooLarge: all settings together would exceed their limit.
        LintGateInvalid: the setting `lint_gate` has an unknown value.
    """
    record = TenantRecord(store, tenant_id)

    def attempt() -> tuple[Tenant, Settings]:
        tenant, existing = record.get_with_settings()
        check_if_match(if_match, tenant.seq)
        changed = change_settings(existing.values, settings_patch)
        gate = lint_gate_of(changed) if LINT_GATE in settings_patch else None
        decided = replace(change, lint_gate=gate, changes_settings=changed != existing.values)
        after, events = domain.change_tenant(tenant, decided, now=now)
        if after is not tenant:
            written = SettingsChange(changed, seq_before=existing.seq)
            record.save(after, events, seq_before=tenant.seq, settings=written)
        return after, changed

    return retry_on_conflict(attempt)


def count_active_tenants(store: Store) -> dict[Plan, int]:
    """Count the active tenants by plan.

    Raises:
        TimeoutError: the invocation's time ended before all tenants were counted.
    """
    found, after = Counter[Plan](), None
    while True:
        page, after = AllTenants(store).page(limit=100, after=after, newest_first=False)
        found.update(tenant.plan for tenant in page if tenant.status == "active")
        if after is None:
            return {plan: found[plan] for plan in Plan}
        if remaining_s() <= 0:
            raise TimeoutError


def decide_on_tenant(
    store: Store, tenant_id: str, decide: Callable[[Tenant], domain.TenantRevision], *, if_match: str | None = None
) -> Tenant:
    """Load a tenant, decide on its change and save it. Try again after a concurrent change, five times in all.

    Raises:
        TenantChangedMeanwhile: concurrent requests changed the tenant at every attempt.
    """
    record = TenantRecord(store, tenant_id)

    def attempt() -> Tenant:
        tenant = record.get_to_change()
        check_if_match(if_match, tenant.seq)
        after, events = decide(tenant)
        if after is not tenant:
            record.save(after, events, seq_before=tenant.seq)
        return after

    return retry_on_conflict(attempt)
