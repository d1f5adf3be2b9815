"""Second subscriptions of one tenant: noted when they are found, then ended and refunded.

Two checkout pages can be paid at the same moment. Each subscription would be charged for the same usage.
"""

from collections.abc import Iterable
from datetime import datetime

from services.billing.domain.subscription import Subscription
from services.billing.gateways.payments import Payments
from services.billing.table import duplicates as table
from services.billing.table.duplicates import AlreadyNoted
from shared.metrics import DUPLICATE_SUBSCRIPTIONS
from shared.observability import logger, report
from shared.storage.store import Store


def note_duplicates(
    store: Store, tenant_id: str, duplicates: Iterable[Subscription], *, kept: Subscription, now: datetime
) -> None:
    """Record and report subscriptions besides the one that counts.

    Only those that a checkout of this tenant has created are ended. One that was created manually at Stripe is
    reported each time, and remains unchanged.
    """
    for one in duplicates:
        facts = {"tenant_id": tenant_id, "subscription_id": one.subscription_id, "kept_id": kept.subscription_id}
        if one.tenant_id != tenant_id:
            facts["origin"] = "created manually at Stripe"
        else:
            try:
                table.add_duplicate(store, tenant_id, one, kept_id=kept.subscription_id, now=now)
            except AlreadyNoted:
                continue
        report("second subscription", {DUPLICATE_SUBSCRIPTIONS: 1}, **facts)


def end_duplicate(store: Store, payments: Payments, tenant_id: str, subscription_id: str, *, now: datetime) -> None:
    """End a duplicate and refund it. Idempotent: a refund is made once, whatever is repeated."""
    refunded_cents = payments.end_duplicate(subscription_id)
    table.finish_duplicate(store, tenant_id, subscription_id, refunded_cents=refunded_cents, now=now)
    logger.info(
        "second subscription ended",
        tenant_id=tenant_id,
        subscription_id=subscription_id,
        refunded_cents=refunded_cents,
    )
