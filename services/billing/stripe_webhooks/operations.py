"""Webhooks: stored and queued on receipt, handled later. Neither their order nor their number matters."""

import json
from datetime import datetime
from typing import Any, cast

from services.billing.customers.table import CustomerTable
from services.billing.errors import PaymentsUnavailable, WebhookAlreadyReceived
from services.billing.invoices.operations import refresh_invoice
from services.billing.stripe_webhooks.domain import (
    CHECKOUT_COMPLETED,
    DISPUTE_TYPES,
    METER_ERRORS,
    WebhookEvent,
    parse_webhook,
)
from services.billing.stripe_webhooks.gateway import BillingGateway, Inbox
from services.billing.stripe_webhooks.table import ReceivedWebhooks, StripeCustomers
from services.billing.subscriptions.operations import refresh_subscription
from services.billing.usage_sync.operations.booking import book_open_hours
from shared.metrics import DISPUTES, DRIFT
from shared.observability import logger, report
from shared.storage.store import Store


def receive(store: Store, inbox: Inbox, body: str, *, now: datetime) -> bool:
    """Store and queue a webhook whose signature was verified; return False if it is not stored.

    Only relevant types of the expected API version are stored. A webhook that is already stored is queued again until
    it is handled, because the queue may have lost it.
    """
    payload = cast("dict[str, Any]", json.loads(body))
    webhook = parse_webhook(payload)
    if webhook is None:
        logger.info("webhook ignored", type=payload.get("type"), api_version=payload.get("api_version"))
        return False
    try:
        ReceivedWebhooks(store).add(webhook, now=now)
    except WebhookAlreadyReceived as received:
        if received.done:
            return True
    inbox.put(webhook.event_id)
    return True


def handle(store: Store, gateway: BillingGateway, event_id: str, *, now: datetime) -> None:
    """Read the current state of the objects that a webhook refers to from Stripe.

    A dispute or a report of meter errors is reported by the delivery that finishes the webhook, and by no other.

    Raises:
        PaymentsUnavailable: Stripe does not respond, or more hours are open than one call books.
    """
    webhooks = ReceivedWebhooks(store)
    webhook = webhooks.find(event_id)
    if webhook is None or webhook.state == "done":
        return
    tenant_id = None if webhook.type == METER_ERRORS else _apply(store, gateway, webhook, now=now)
    if webhooks.finish(event_id):
        _report(webhook, tenant_id)


def _apply(store: Store, gateway: BillingGateway, webhook: WebhookEvent, *, now: datetime) -> str | None:
    """Read the objects of a tenant again, and return the tenant, or None if the customer is unknown."""
    customer_id = webhook.customer_id or _customer_of_payment(gateway, webhook)
    tenant_id = customer_id and _tenant_of(store, gateway, customer_id)
    if not tenant_id or not customer_id:
        logger.warning("webhook of an unknown customer", event_id=webhook.event_id)
        return None
    if webhook.type == CHECKOUT_COMPLETED:
        gateway.close_checkouts(customer_id)
    refresh_subscription(store, gateway, tenant_id, now=now)
    if webhook.invoice_id:
        refresh_invoice(store, gateway, tenant_id, webhook.invoice_id, now=now)
    book_open_hours(store, gateway, tenant_id, now=now)
    return tenant_id


def handle_or_postpone(store: Store, gateway: BillingGateway, event_id: str, *, now: datetime) -> bool:
    """Handle a webhook. During an outage, return False and leave it to the sweep, which retries without a limit."""
    try:
        handle(store, gateway, event_id, now=now)
    except PaymentsUnavailable as error:
        logger.warning("webhook postponed", event_id=event_id, reason=str(error))
        return False
    return True


def _customer_of_payment(gateway: BillingGateway, webhook: WebhookEvent) -> str | None:
    return gateway.customer_of_payment(webhook.payment) if webhook.payment else None


def _report(webhook: WebhookEvent, tenant_id: str | None) -> None:
    if webhook.type == METER_ERRORS:
        logger.error("meter events were refused later", event_id=webhook.event_id, meter_id=webhook.meter_id)
        report("drift", {DRIFT: 1}, event_id=webhook.event_id)
    if webhook.type in DISPUTE_TYPES and tenant_id:
        logger.warning("payment disputed", tenant_id=tenant_id, event_id=webhook.event_id, type=webhook.type)
        report("payment disputed", {DISPUTES: 1}, tenant_id=tenant_id, event_id=webhook.event_id)


def _tenant_of(store: Store, gateway: BillingGateway, customer_id: str) -> str | None:
    """Return the tenant of a Stripe customer, if our own record of the tenant confirms it."""
    customers = StripeCustomers(store)
    cached = customers.find_tenant(customer_id)
    if cached:
        return cached
    claimed = gateway.tenant_of(customer_id)
    # No wait is needed: our own record is older than any customer at Stripe.
    customer = CustomerTable(store, claimed).find() if claimed else None
    if customer is None or customer.stripe_customer_id != customer_id:
        return None
    customers.save_tenant(customer_id, tenant_id=customer.tenant_id)
    return customer.tenant_id
