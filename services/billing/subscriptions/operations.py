"""Operations on a tenant's subscription: change its plan, subscribe by checkout, open the portal, end duplicates.

Two checkout pages can be paid at the same moment, and each subscription would then be charged for the same usage. The
duplicates are recorded when found, then ended and refunded.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from services.billing.customers.domain.customer import Customer, apply_subscription
from services.billing.customers.domain.subscription import Subscription
from services.billing.customers.operations import get_customer, link_customer, update_customer
from services.billing.errors import AlreadySubscribed, BilledManually, NoCustomerAtStripe, PlanIsFree
from services.billing.subscriptions.domain import (
    Checkout,
    CheckoutOrder,
    Proration,
    duplicates_of,
    proration,
    select_current,
)
from services.billing.subscriptions.gateway.subscriptions import SubscriptionGateway
from services.billing.subscriptions.table import CheckoutLeaseTable, DuplicateAlreadyRecorded, DuplicateTable
from shared.errors import DependencyUnavailable
from shared.events.billing import BillingEvent
from shared.events.envelope import Event
from shared.metrics import DUPLICATE_SUBSCRIPTIONS
from shared.observability import logger, report
from shared.plans import PRICES, Plan
from shared.preconditions import check_if_match
from shared.storage.store import Store


@dataclass(frozen=True, slots=True)
class PlanChange:
    """The customer after a change of plan. An upgrade has a proration."""

    customer: Customer
    proration: Proration | None = None


def change_plan(
    store: Store,
    gateway: SubscriptionGateway | None,
    tenant_id: str,
    plan: Plan | None,
    *,
    now: datetime,
    if_match: str | None = None,
) -> PlanChange:
    """Upgrade at once, or downgrade at the end of the period. Selecting the current plan cancels a pending downgrade.

    Args:
        store: the slice.
        gateway: the Stripe gateway; None if no key is configured.
        tenant_id: the tenant.
        plan: the new plan; None changes nothing.
        now: the time.
        if_match: the revision that the caller has read.

    Raises:
        BilledManually: the tenant has no subscription.
        PaymentsUnavailable: Stripe does not respond.
    """
    customer = get_customer(store, tenant_id)
    check_if_match(if_match, customer.rev)
    if plan is None:
        return PlanChange(customer)
    if gateway is None or customer.ongoing_subscription is None:
        raise BilledManually
    customer = refresh_subscription(store, gateway, tenant_id, now=now)
    subscription = customer.ongoing_subscription
    if subscription is None:
        raise BilledManually
    prorated = None
    if plan is subscription.plan:
        gateway.cancel_plan_change(subscription)
    elif _price(plan) > _price(subscription.plan):
        prorated = proration(subscription.plan, plan, period=subscription.period, at=now)
        gateway.change_plan(subscription, plan)
    else:
        gateway.change_plan_at_end(subscription, plan)
    return PlanChange(refresh_subscription(store, gateway, tenant_id, now=now), prorated)


def start_checkout(
    store: Store, gateway: SubscriptionGateway, order: CheckoutOrder, *, key: str | None, now: datetime
) -> Checkout:
    """Open a checkout page for a paid plan, and close the tenant's other checkout pages.

    A lease prevents two requests from opening a page at the same time.

    Raises:
        PlanIsFree: the plan costs nothing.
        AlreadySubscribed: the tenant has a subscription, whose plan can be changed.
        CheckoutInProgress: another request is opening a page.
        CheckoutClosed: the page of this key is paid, expired or replaced.
    """
    if not _price(order.plan):
        raise PlanIsFree
    customer = link_customer(store, gateway, order.tenant_id)
    if customer.stripe_customer_id is None:
        raise AlreadySubscribed
    with _lease(store, order.tenant_id, now=now):
        gateway.close_checkouts(customer.stripe_customer_id, keep=key)
        # Check this last: a page that could no longer be closed has become a subscription.
        if refresh_subscription(store, gateway, order.tenant_id, now=now).ongoing_subscription:
            raise AlreadySubscribed
        return gateway.start_checkout(customer.stripe_customer_id, order, key=key)


@contextmanager
def _lease(store: Store, tenant_id: str, *, now: datetime) -> Generator[None]:
    lease = CheckoutLeaseTable(store, tenant_id)
    ends_at = lease.acquire(now=now)
    try:
        yield
    finally:
        # A lease that cannot be released expires by itself.
        with suppress(DependencyUnavailable):
            lease.release(ends_at=ends_at, now=now)


def open_portal(store: Store, gateway: SubscriptionGateway, tenant_id: str, *, return_url: str) -> str:
    """Return the URL of the customer portal.

    Raises:
        NoCustomerAtStripe: the tenant has no customer at Stripe yet.
    """
    customer = get_customer(store, tenant_id)
    if customer.stripe_customer_id is None:
        raise NoCustomerAtStripe
    return gateway.open_portal(customer.stripe_customer_id, return_url=return_url)


def _price(plan: Plan) -> int:
    return PRICES[plan].base_cents_per_month


def record_duplicates(
    store: Store, tenant_id: str, duplicates: Iterable[Subscription], *, current: Subscription, now: datetime
) -> None:
    """Record and report the duplicates of the current subscription.

    Only a subscription that a checkout of this tenant created is ended. One that was created manually at Stripe is
    reported each time and remains unchanged.
    """
    for duplicate in duplicates:
        fields = {
            "tenant_id": tenant_id,
            "subscription_id": duplicate.subscription_id,
            "kept_id": current.subscription_id,
        }
        if duplicate.tenant_id != tenant_id:
            fields["origin"] = "created manually at Stripe"
        else:
            try:
                DuplicateTable(store, tenant_id).create(duplicate, current_id=current.subscription_id, now=now)
            except DuplicateAlreadyRecorded:
                continue
        report("second subscription", {DUPLICATE_SUBSCRIPTIONS: 1}, **fields)


def end_duplicate(
    store: Store, gateway: SubscriptionGateway, tenant_id: str, subscription_id: str, *, now: datetime
) -> None:
    """End a duplicate and refund it. Idempotent: it is refunded once."""
    refunded_cents = gateway.end_duplicate(subscription_id)
    DuplicateTable(store, tenant_id).finish(subscription_id, refunded_cents=refunded_cents, now=now)
    logger.info(
        "second subscription ended",
        tenant_id=tenant_id,
        subscription_id=subscription_id,
        refunded_cents=refunded_cents,
    )


def refresh_subscription(store: Store, gateway: SubscriptionGateway, tenant_id: str, *, now: datetime) -> Customer:
    """Update the customer from its current subscription at Stripe.

    Stripe is read after the record, so an older state never overwrites a newer one. A duplicate subscription is
    recorded, and the sweep ends it.
    """

    def decide(customer: Customer) -> tuple[Customer, Sequence[Event[BillingEvent]]]:
        if customer.stripe_customer_id is None:
            return customer, ()
        subscriptions = gateway.subscriptions_of(customer.stripe_customer_id)
        current = select_current(
            subscriptions, known_id=customer.subscription and customer.subscription.subscription_id
        )
        if current is None:
            return customer, ()
        record_duplicates(store, tenant_id, duplicates_of(current, subscriptions), current=current, now=now)
        return apply_subscription(customer, current, now=now)

    return update_customer(store, tenant_id, decide)
