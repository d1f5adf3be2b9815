"""Events of billing and metering about a tenant."""

from datetime import UTC, datetime

from shared.events.billing import SubscriptionChanged, UsageSynced
from shared.events.envelope import Event, new_event
from shared.events.metering import UsageSummarized
from shared.plans import Plan

AT = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


def subscription_changed(
    tenant_id: str,
    *,
    seq: int = 1,
    plan: Plan = Plan.FREE,
    suspended: bool = False,
    grace_until: datetime | None = None,
) -> Event[SubscriptionChanged]:
    """Return the event of a changed subscription."""
    payload = SubscriptionChanged(
        plan=plan,
        billing="stripe",
        status="suspended_by_billing" if suspended else "active",
        grace_until=grace_until,
    )
    event_id = f"{tenant_id}:subscription:{seq}"
    return new_event(payload, event_id=event_id, tenant_id=tenant_id, subject=tenant_id, seq=seq, at=AT)


def usage_summarized(
    tenant_id: str, *, seq: int = 1, month: str = "2026-11", requests: int = 0, tokens: int = 0, storage_bytes: int = 0
) -> Event[UsageSummarized]:
    """Return the event of a month's usage."""
    payload = UsageSummarized(month=month, requests=requests, tokens=tokens, storage_bytes=storage_bytes)
    event_id = f"{tenant_id}:{month}:{seq}"
    return new_event(payload, event_id=event_id, tenant_id=tenant_id, subject=month, seq=seq, at=AT)


def usage_synced(tenant_id: str) -> Event[UsageSynced]:
    """Return the event that the last usage of a tenant is synced."""
    return new_event(
        UsageSynced(), event_id=f"{tenant_id}:synced", tenant_id=tenant_id, subject=tenant_id, seq=2, at=AT
    )
