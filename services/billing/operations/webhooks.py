"""Webhooks: kept and queued when they come, handled later. Their order and their number do not matter."""

import json
from datetime import datetime
from typing import Any, cast

from services.billing.domain.notice import METER_ERRORS, Notice, notice_of
from services.billing.errors import AlreadyReceived
from services.billing.gateways.inbox import Inbox
from services.billing.gateways.payments import Payments
from services.billing.operations.customers import get_customer, refresh_invoice, refresh_subscription
from services.billing.operations.usage import book_open_hours
from services.billing.table import notices
from shared.metrics import DRIFT
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
    """Take over from Stripe what a webhook says has changed, as it is now."""
    notice = notices.find_notice(store, event_id)
    if notice is None or notice.state == "done":
        return
    tenant_id = _tenant_of(store, payments, notice)
    if tenant_id:
        refresh_subscription(store, payments, tenant_id, now=now)
        if notice.invoice_id:
            refresh_invoice(store, payments, tenant_id, notice.invoice_id, now=now)
        book_open_hours(store, payments, tenant_id, now=now)
    notices.finish_notice(store, event_id)


def _tenant_of(store: Store, payments: Payments, notice: Notice) -> str | None:
    """Whose customer it is: Stripe's word for it must be ours too."""
    known = notices.find_tenant(store, notice.customer_id)
    if known:
        return known
    claimed = payments.tenant_of(notice.customer_id)
    if claimed is None or get_customer(store, claimed).stripe_customer_id != notice.customer_id:
        logger.warning("webhook of nobody's customer", event_id=notice.event_id)
        return None
    notices.keep_tenant(store, notice.customer_id, tenant_id=claimed)
    return claimed
