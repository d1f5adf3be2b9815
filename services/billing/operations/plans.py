"""What a tenant's admin does about its plan: look, change, go to the checkout and to the portal."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from services.billing.domain.cost import Proration, proration
from services.billing.domain.customer import Customer
from services.billing.errors import AlreadySubscribed, BilledByHand, NoCustomerAtStripe, PlanIsFree
from services.billing.gateways.payments import Checkout, Order, Payments
from services.billing.operations.customers import get_customer, link_customer, refresh_subscription
from services.billing.table.checkouts import acquire_lease, release_lease
from shared.errors import DependencyUnavailable
from shared.http.etag import check_if_match
from shared.plans import PRICES, Plan
from shared.storage.store import Store


@dataclass(frozen=True, slots=True)
class PlanChange:
    """The customer after a change of plan, and what a change at once gives back and asks for."""

    customer: Customer
    proration: Proration | None = None


def change_plan(
    store: Store,
    payments: Payments | None,
    tenant_id: str,
    plan: Plan | None,
    *,
    now: datetime,
    if_match: str | None = None,
) -> PlanChange:
    """Go to a dearer plan at once, to a cheaper one when the period ends; to stay on one takes back what was to come.

    Args:
        store: the slice.
        payments: Stripe; None where there is none.
        tenant_id: whose plan.
        plan: the one to go to; None changes nothing.
        now: the time.
        if_match: the version that the caller has seen.

    Raises:
        BilledByHand: there is no subscription to change.
        PaymentsUnavailable: Stripe does not answer.
    """
    customer = get_customer(store, tenant_id)
    check_if_match(if_match, customer.rev)
    if plan is None:
        return PlanChange(customer)
    if payments is None or customer.paying is None:
        raise BilledByHand
    customer = refresh_subscription(store, payments, tenant_id, now=now)
    subscription = customer.paying
    if subscription is None:
        raise BilledByHand
    prorated = None
    if plan is subscription.plan:
        payments.keep_plan(subscription)
    elif _price(plan) > _price(subscription.plan):
        prorated = proration(subscription.plan, plan, period=subscription.period, at=now)
        payments.change_plan(subscription, plan)
    else:
        payments.change_plan_at_end(subscription, plan)
    return PlanChange(refresh_subscription(store, payments, tenant_id, now=now), prorated)


def start_checkout(store: Store, payments: Payments, order: Order, *, key: str | None, now: datetime) -> Checkout:
    """Open a page on which the tenant's admin subscribes to a paid plan, and close all others.

    The lease keeps two requests from each opening a page that the other does not see.

    Raises:
        PlanIsFree: there is nothing to pay.
        AlreadySubscribed: there is a subscription, whose plan can be changed.
        CheckoutInProgress: another request opens a page.
        CheckoutClosed: the page of this key is paid, expired or replaced.
    """
    if not _price(order.plan):
        raise PlanIsFree
    customer = link_customer(store, payments, order.tenant_id)
    if customer.stripe_customer_id is None:
        raise AlreadySubscribed
    with _lease(store, order.tenant_id, now=now):
        payments.close_checkouts(customer.stripe_customer_id, keep=key)
        # Asked last: a page that could not be closed any more is a subscription now.
        if refresh_subscription(store, payments, order.tenant_id, now=now).paying:
            raise AlreadySubscribed
        return payments.start_checkout(customer.stripe_customer_id, order, key=key)


@contextmanager
def _lease(store: Store, tenant_id: str, *, now: datetime) -> Generator[None]:
    ends_at = acquire_lease(store, tenant_id, now=now)
    try:
        yield
    finally:
        # One that cannot be given back ends by itself.
        with suppress(DependencyUnavailable):
            release_lease(store, tenant_id, ends_at=ends_at, now=now)


def open_portal(store: Store, payments: Payments, tenant_id: str, *, return_url: str) -> str:
    """The URL of the page where cards and invoices are.

    Raises:
        NoCustomerAtStripe: there is nothing to show yet.
    """
    customer = get_customer(store, tenant_id)
    if customer.stripe_customer_id is None:
        raise NoCustomerAtStripe
    return payments.open_portal(customer.stripe_customer_id, return_url=return_url)


def _price(plan: Plan) -> int:
    return PRICES[plan].base_cents_per_month
