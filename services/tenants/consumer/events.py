"""What other services say, what users' rows say to the pool, and the sweep."""

from services.tenants import wiring
from services.tenants.operations import deletion, exports, tenants, users
from services.tenants.table import TRACES, audit, config_key
from services.tenants.table import tenants as tenants_table
from shared.events.billing import SubscriptionChanged, UsageSynced
from shared.events.envelope import Event
from shared.events.metering import UsageSummarised
from shared.events.tenants import (
    ChangeRecorded,
    TenantDataExported,
    TenantDataRemoved,
    TenantPlanChanged,
    UserDisabled,
    UserEvent,
    UserInvited,
    UserRemoved,
    UserRoleChanged,
)
from shared.export.exporter import exporter as exporter_of
from shared.messaging.consumer import EventConsumer
from shared.messaging.schedule import Done, scheduled
from shared.metrics import ACTIVE_TENANTS, MRR
from shared.observability import report
from shared.plans import PRICES
from shared.removal import remover as remover_of
from shared.storage.audit import Change, recorded
from shared.storage.inbox import Delivery
from shared.times import utc_now

consumer = EventConsumer("tenants.consumer")
remover = remover_of(
    "tenants",
    store=wiring.slice_store,
    traces=TRACES,
    empty_folder=wiring.empty_folder,
    tombstone=lambda _, tenant_id: config_key(tenant_id),
    before=lambda tenant_id: deletion.remove_users(wiring.identity(), tenant_id),
)
exporter = exporter_of(
    "tenants",
    store=wiring.tenant_store,
    depot=wiring.depot,
    traces=TRACES,
    tombstone=lambda _, tenant_id: config_key(tenant_id),
)


@consumer.on(UserInvited, UserRoleChanged, UserDisabled, UserRemoved)
def follow_user(event: Event[UserEvent], _: Delivery) -> None:
    """The pool has what the user's row says now, whichever event came first."""
    users.follow_user(wiring.slice_store(), wiring.identity(), event.tenant_id, event.data.user_id)


@consumer.on(TenantPlanChanged)
def follow_plan(event: Event[TenantPlanChanged], _: Delivery) -> None:
    """The tokens of all users will name the plan."""
    users.follow_plan(wiring.slice_store(), wiring.identity(), event.tenant_id)


@consumer.on(SubscriptionChanged)
def follow_subscription(event: Event[SubscriptionChanged], _: Delivery) -> None:
    """The plan, the grace and the suspension are those that billing has decided on."""
    if tenants_table.is_buried(wiring.slice_store(), event.tenant_id):
        return
    change = Change(event.id, "service:billing", "", event.type, "", "", event.occurred_at)
    with recorded(change):
        tenants.follow_subscription(wiring.slice_store(), event)


@consumer.on(UsageSynced)
def finish_deletion(event: Event[UsageSynced], _: Delivery) -> None:
    """The tenant is gone; every service removes what it has of it."""
    deletion.finish_deletion(wiring.slice_store(), event)


@consumer.on(TenantDataRemoved)
def certify(event: Event[TenantDataRemoved], _: Delivery) -> None:
    """The certificate says what the service has removed."""
    deletion.certify(wiring.slice_store(), event)


@consumer.on(TenantDataExported)
def follow_export(event: Event[TenantDataExported], _: Delivery) -> None:
    """The service is done with its part; the last one completes the export."""
    exports.follow_export(wiring.slice_store(), wiring.artifacts(), event)


@consumer.on(ChangeRecorded)
def write_audit(event: Event[ChangeRecorded], _: Delivery) -> None:
    """The change stands in the tenant's audit."""
    audit.add_entry(wiring.slice_store(), event.tenant_id, event)


@consumer.on(UsageSummarised)
def show_usage(event: Event[UsageSummarised], _: Delivery) -> None:
    """The tenant shows how much of its limits is used."""
    tenants.keep_usage(wiring.slice_store(), event)


@scheduled("swept")
def sweep() -> Done:
    """Every few minutes: invitations that a crash has left open."""
    finished = users.finish_invitations(wiring.slice_store(), wiring.identity(), now=utc_now())
    return {"invitations": finished}, {}


@scheduled("counted")
def census() -> Done:
    """Every hour: how many tenants are active on each plan, and what their plans bring in."""
    active = tenants.count_active(wiring.slice_store())
    for plan, count in active.items():
        month_cents = count * PRICES[plan].base_cents_per_month
        report("tenants counted", {ACTIVE_TENANTS: count, MRR: month_cents}, plan=plan.value)
    return {"active": sum(active.values())}, {}
