"""Webhooks: kept and queued when they come, handled later. Their order and their number do not matter."""

import json
from datetime import datetime
from typing import Any, cast

from services.billing.domain.notice import CHECKOUT_COMPLETED, DISPUTE_TYPES, METER_ERRORS, Notice, notice_of
from services.billing.errors import AlreadyReceived, PaymentsUnavailable
from services.billing.gateways.inbox import Inbox
from services.billing.gateways.payments import Payments
from services.billing.operations.customers import refresh_invoice, refresh_subscription
from services.billing.operations.usage import book_open_hours
from services.billing.table import notices
from services.billing.table.customers import find_customer
from shared.metrics import DISPUTES, DRIFT
from shared.observability import logger, report
from shared.storage.store import Store


def receive(store: Store, inbox: Inbox, body: str, *, now: datetime) -> bool:
    """Keep a webhook whose signature was checked, and have it handled; says whether it is of any concern.

    One that is there already is queued again until it was handled, since the queue may have lost it.
    """
    payload = cast("dict[str, Any]", json.loads(body))
    if payload.get("type") == METER_ERRORS:
        logger.error(
            "meter events were refused later", event_id=payload.get("id"), related=payload.get("related_object")
        )
        report("drift", {DRIFT: 1}, event_id=payload.get("id"))
    notice = notice_of(payload)
    if notice is None:
        logger.info("webhook ignored", type=payload.get("type"), api_version=payload.get("api_version"))
        return False
    try:
        notices.add_notice(store, notice, now=now)
    except AlreadyReceived as received:
        if received.done:
            return True
    inbox.put(notice.event_id)
    return True


def handle(store: Store, payments: Payments, event_id: str, *, now: datetime) -> None:
    """Read from Stripe the current state of the objects that a webhook names.

    Raises:
        PaymentsUnavailable: Stripe does not respond, or there is more to book than is booked at once.
    """
    notice = notices.find_notice(store, event_id)
    if notice is None or notice.state == "done":
        return
    customer_id = notice.customer_id or _customer_of_payment(payments, notice)
    tenant_id = customer_id and _tenant_of(store, payments, customer_id)
    if tenant_id and customer_id:
        _report_dispute(notice, tenant_id)
        if notice.type == CHECKOUT_COMPLETED:
            payments.close_checkouts(customer_id)
        refresh_subscription(store, payments, tenant_id, now=now)
        if notice.invoice_id:
            refresh_invoice(store, payments, tenant_id, notice.invoice_id, now=now)
        book_open_hours(store, payments, tenant_id, now=now)
    else:
        logger.warning("webhook of an unknown customer", event_id=notice.event_id)
    notices.finish_notice(store, event_id)


def handle_or_postpone(store: Store, payments: Payments, event_id: str, *, now: datetime) -> bool:
    """Handle a webhook; return False when an outage leaves it to the sweep, which tries for as long as it takes."""
    try:
        handle(store, payments, event_id, now=now)
    except PaymentsUnavailable as error:
        logger.warning("webhook postponed", event_id=event_id, reason=str(error))
        return False
    return True


def _customer_of_payment(payments: Payments, notice: Notice) -> str | None:
    return payments.customer_of_payment(notice.payment) if notice.payment else None


def _report_dispute(notice: Notice, tenant_id: str) -> None:
    if notice.type in DISPUTE_TYPES:
        logger.warning("payment disputed", tenant_id=tenant_id, event_id=notice.event_id, type=notice.type)
        report("payment disputed", {DISPUTES: 1}, tenant_id=tenant_id, event_id=notice.event_id)


def _tenant_of(store: Store, payments: Payments, customer_id: str) -> str | None:
    """Whose customer it is: Stripe's word for it must be ours too."""
    known = notices.find_tenant(store, customer_id)
    if known:
        return known
    claimed = payments.tenant_of(customer_id)
    # Not waited for: our own record is older than any customer at Stripe.
    customer = find_customer(store, claimed) if claimed else None
    if customer is None or customer.stripe_customer_id != customer_id:
        return None
    notices.keep_tenant(store, customer_id, tenant_id=customer.tenant_id)
    return customer.tenant_id
