"""Customers and their subscriptions."""

from datetime import datetime
from typing import cast

from services.billing.domain.cost import Period
from services.billing.domain.customer import BillingMode, Customer
from services.billing.domain.subscription import Subscription, SubscriptionState, TenantStatus
from services.billing.errors import CustomerChanged, CustomerExists
from services.billing.table import SLICE
from shared.events.billing import BillingEvent
from shared.events.envelope import Event
from shared.plans import Plan
from shared.storage.items import Item, Key, Reader, Value
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression, Transaction, refuse_with
from shared.times import from_text, to_text

GRACE = "GRACE"
"""The queue of tenants by the end of their grace."""

GRACE_ENDS = SLICE.due_key(GRACE)
KNOWN = SLICE.due_key("KNOWN")


def find_customer(store: Store, tenant_id: str) -> Customer | None:
    """The tenant's customer record, or None."""
    item = store.get(_key(tenant_id))
    return _from_item(item) if item else None


def add_customer(store: Store, customer: Customer) -> None:
    """Write a new customer.

    Raises:
        CustomerExists: the tenant has one.
    """
    transaction = Transaction(customer.tenant_id)
    transaction.put(_to_item(customer), when=ABSENT, otherwise=refuse_with(CustomerExists()))
    place = {"due_pk": KNOWN, "due_sk": customer.tenant_id}
    transaction.put({**_known_key(customer.tenant_id).attributes, "tenant_id": customer.tenant_id, **place})
    store.commit(transaction)


def page_of_tenants(store: Store, *, limit: int, after: str | None) -> tuple[list[str], str | None]:
    """The ids of all tenants that were ever customers, and the place to go on from; for operators only."""
    start = {"due_pk": KNOWN, "due_sk": after, **_known_key(after).attributes} if after else None
    page = store.query(Expression("#due_pk = :pk", {"pk": KNOWN}), index="due", limit=limit, resume_after=start)
    found = [str(item["due_sk"]) for item in page.items]
    return found, found[-1] if page.resume_after and found else None


def save_customer(store: Store, customer: Customer, *events: Event[BillingEvent]) -> None:
    """Write a changed customer over the one that it was made of.

    Raises:
        CustomerChanged: somebody else has changed it since.
    """
    unchanged = Expression("#rev = :before", {"before": customer.rev - 1})
    transaction = Transaction(customer.tenant_id)
    transaction.put(_to_item(customer), when=unchanged, otherwise=refuse_with(CustomerChanged()))
    transaction.emit(*events)
    store.commit(transaction)


def _key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "CUSTOMER")


def _known_key(tenant_id: str) -> Key:
    return Key(SLICE.key(tenant_id), "KNOWN")


def _to_item(customer: Customer) -> dict[str, Value]:
    item: dict[str, Value] = {
        **_key(customer.tenant_id).attributes,
        "tenant_id": customer.tenant_id,
        "plan": customer.plan,
        "billing": customer.billing,
        "created_at": to_text(customer.created_at),
        "rev": customer.rev,
        "heard_seq": customer.heard_seq,
        "status": customer.status,
        "grace_until": _optional(customer.grace_until),
        "stripe_customer_id": customer.stripe_customer_id,
        "subscription": _subscription_to_item(customer.subscription) if customer.subscription else None,
    }
    if customer.grace_until and customer.status == "active":
        item |= {"due_pk": GRACE_ENDS, "due_sk": to_text(customer.grace_until)}
    return item


def _from_item(item: Item) -> Customer:
    reader = Reader(item)
    return Customer(
        tenant_id=reader.text("tenant_id"),
        plan=Plan(reader.text("plan")),
        billing=BillingMode(reader.text("billing")),
        created_at=from_text(reader.text("created_at")),
        rev=reader.integer("rev"),
        heard_seq=reader.integer("heard_seq"),
        status=cast("TenantStatus", reader.text("status")),
        grace_until=_moment(reader.optional_text("grace_until")),
        stripe_customer_id=reader.optional_text("stripe_customer_id"),
        subscription=_subscription_from_item(reader.map("subscription")) if item.get("subscription") else None,
    )


def _subscription_to_item(subscription: Subscription) -> dict[str, Value]:
    return {
        "subscription_id": subscription.subscription_id,
        "state": subscription.state,
        "plan": subscription.plan,
        "started_at": to_text(subscription.started_at),
        "period_start": to_text(subscription.period.start),
        "period_end": to_text(subscription.period.end),
        "next_plan": subscription.next_plan,
        "ended_at": _optional(subscription.ended_at),
        "failing_since": _optional(subscription.failing_since),
        "counts_since": _optional(subscription.counts_since),
    }


def _subscription_from_item(reader: Reader) -> Subscription:
    next_plan = reader.optional_text("next_plan")
    return Subscription(
        subscription_id=reader.text("subscription_id"),
        state=SubscriptionState(reader.text("state")),
        plan=Plan(reader.text("plan")),
        started_at=from_text(reader.text("started_at")),
        period=Period(from_text(reader.text("period_start")), from_text(reader.text("period_end"))),
        next_plan=Plan(next_plan) if next_plan else None,
        ended_at=_moment(reader.optional_text("ended_at")),
        failing_since=_moment(reader.optional_text("failing_since")),
        counts_since=_moment(reader.optional_text("counts_since")),
    )


def _optional(moment: datetime | None) -> str | None:
    return to_text(moment) if moment else None


def _moment(text: str | None) -> datetime | None:
    return from_text(text) if text else None
