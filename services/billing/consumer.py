"""All that is not HTTP: events, webhooks to be handled, the schedule and the operators' commands."""

from dataclasses import asdict
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.billing import wiring
from services.billing.domain.usage import HourUsage
from services.billing.errors import PaymentsUnavailable
from services.billing.operations import closing, customers, reconciling, setup, sweeping, usage, webhooks
from services.billing.operations.sweeping import AT_ONCE
from services.billing.operations.usage import Unsent
from services.billing.table import BOOKS, TRACES
from shared.copies.tenant_access import TENANT_CHANGES
from shared.events.envelope import Event
from shared.events.metering import UsageCorrected, UsageHourClosed, UsageTenantClosed
from shared.events.tenants import TenantCreated, TenantDeletionRequested, TenantState
from shared.export.exporter import exporter as exporter_of
from shared.messaging.commands import Commands
from shared.messaging.consumer import EventConsumer
from shared.messaging.quarantine import add_quarantine_commands
from shared.messaging.queue import QueueConsumer
from shared.messaging.schedule import Done, scheduled
from shared.metrics import BILLING_FAILING, DISPUTES, DRIFT, DUPLICATE_SUBSCRIPTIONS, SYNC_LAG, WEBHOOK_FAILURES
from shared.observability import logger, report
from shared.removal import remover as remover_of
from shared.storage.inbox import Delivery
from shared.times import to_text, utc_now

consumer = EventConsumer("billing.consumer", is_deleted=wiring.is_deleted)
remover = remover_of("billing", store=wiring.slice_store, traces=TRACES, empty_folder=wiring.empty_folder)
exporter = exporter_of("billing", store=wiring.tenant_store, depot=wiring.depot, traces=BOOKS)
admin = Commands()
add_quarantine_commands(admin, wiring.slice_store)


class _Webhook(BaseModel):
    event_id: str


class _Setup(BaseModel):
    model_config = ConfigDict(extra="forbid")

    only_look: bool = False


class _Window(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str
    since: AwareDatetime


class _Flush(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant_id: str | None = None


@consumer.on(TenantCreated)
def create_customer(event: Event[TenantCreated], _: Delivery) -> None:
    """The tenant is a customer, here and at Stripe, and its copy is as new as the event.

    During an outage of Stripe it is a customer here, and becomes one there with its first checkout.
    """
    wiring.copies().keep(event)
    customers.hear_of_tenant(wiring.slice_store(), event)
    try:
        if payments := wiring.find_payments():
            customers.link_customer(wiring.slice_store(), payments, event.tenant_id)
    except PaymentsUnavailable as error:
        logger.warning("tenant not created at Stripe", tenant_id=event.tenant_id, reason=str(error))


@consumer.on(*TENANT_CHANGES, TenantDeletionRequested)
def keep_tenant(event: Event[TenantState], _: Delivery) -> None:
    """The copy of the tenant is as new as the event, and so is its plan, unless Stripe collects."""
    wiring.copies().keep(event)
    customers.hear_of_tenant(wiring.slice_store(), event)


@consumer.on(UsageHourClosed)
def send_hour(event: Event[UsageHourClosed], delivery: Delivery) -> None:
    """The hour is known here, and what Stripe charges for is sent."""
    said = event.data
    _take_in(event.tenant_id, HourUsage(said.hour, 0, said.meters, said.events), delivery)


@consumer.on(UsageCorrected)
def send_correction(event: Event[UsageCorrected], delivery: Delivery) -> None:
    """The difference is known here, and what Stripe charges for is sent."""
    said = event.data
    # A tenant can cause many of these, so they are sent by the sweep, which takes the tenants in turns.
    used = HourUsage(said.hour, said.rev, said.meters, said.events)
    _take_in(event.tenant_id, used, delivery, send_now=False)


@consumer.on(UsageTenantClosed)
def close_tenant(event: Event[UsageTenantClosed], delivery: Delivery) -> None:
    """Send the last usage, end the subscription and publish it; an outage postpones this."""
    closing.close_or_postpone(
        wiring.slice_store(),
        wiring.find_payments(),
        event.tenant_id,
        delivery=delivery,
        now=delivery.received_at,
    )


def _take_in(tenant_id: str, used: HourUsage, delivery: Delivery, *, send_now: bool = True) -> None:
    store, payments = wiring.slice_store(), wiring.find_payments()
    usage.take_in(store, payments, tenant_id, used, now=delivery.received_at, send_now=send_now)


def _handle_webhook(message: _Webhook) -> None:
    failures = 1
    try:
        is_done = webhooks.handle_or_postpone(wiring.slice_store(), wiring.payments(), message.event_id, now=utc_now())
        failures = int(not is_done)
    finally:
        report("webhook handled", {WEBHOOK_FAILURES: failures, DISPUTES: 0}, event_id=message.event_id)


inbox = QueueConsumer("billing.inbox", _Webhook, _handle_webhook)


@scheduled("swept")
def sweep() -> Done:
    """Every minute: unsent usage, ends of grace, second subscriptions, and what an outage has left undone."""
    payments = wiring.find_payments()
    if payments is None:
        return {}, {}
    store, now = wiring.slice_store(), utc_now()
    others = sweeping.sweep_others(store, payments, now=now, concurrency=AT_ONCE)
    sent = sweeping.sweep_usage(store, payments, now=now, concurrency=AT_ONCE)
    total = sweeping.total_of([sent.swept, *others.values()])
    handled = {kind.lower(): swept.handled for kind, swept in others.items()}
    # Differences and failures have log lines of their own; the zeros here are data for the alarms.
    measured = {SYNC_LAG: sent.lag_s, DRIFT: 0, BILLING_FAILING: 0, DUPLICATE_SUBSCRIPTIONS: 0}
    return {"usage": sent.swept.handled, **handled}, {**measured, **total.metrics}


@admin.on("setup", _Setup)
def set_up(asked: _Setup) -> dict[str, Any]:
    """Make Stripe's meters, products and prices what the plans file says."""
    steps = setup.set_up(wiring.shelf(), only_look=asked.only_look)
    return {
        "steps": [
            {"kind": step.kind, "name": step.name, "difference": step.difference, "detail": step.detail}
            for step in steps
        ]
    }


@admin.on("flush", _Flush)
def flush(asked: _Flush) -> dict[str, Any]:
    """Send all unsent usage, of one tenant or of all; return how much is left, and why."""
    store, payments, now = wiring.slice_store(), wiring.payments(), utc_now()
    if asked.tenant_id:
        return _left(usage.flush(store, payments, asked.tenant_id, now=now))
    result, left = sweeping.flush_all(store, payments, now=now, concurrency=AT_ONCE)
    return {"looked_at": result.swept.handled + result.swept.failed, **_left(left)}


def _left(found: Unsent) -> dict[str, Any]:
    return {
        "all_sent": found.all_sent,
        "unsent": found.open,
        "rejected": found.rejected,
        "reasons": list(found.reasons),
    }


@admin.on("books", _Window)
def books(asked: _Window) -> dict[str, Any]:
    """What was heard of each hour, and where the books do not agree with each other or with Stripe."""
    store, now = wiring.slice_store(), utc_now()
    window = reconciling.window_until(now, since=asked.since)
    findings = reconciling.compare(store, wiring.find_payments(), asked.tenant_id, window, now=now)
    heard: dict[str, dict[str, Any]] = {}
    for one in reconciling.usages_of(store, asked.tenant_id, window):
        hour = heard.setdefault(to_text(one.hour), {"numbers": {}, "revs": []})
        for name, amount in {"events": one.events, **one.meters}.items():
            hour["numbers"][name] = hour["numbers"].get(name, 0) + amount
        hour["revs"].append(one.rev)
    return {
        "drift": [asdict(one.drift) for one in findings if not one.pending],
        "pending": [asdict(one.drift) for one in findings if one.pending],
        "hours": heard,
    }


@admin.on("repair", _Window)
def repair(asked: _Window) -> dict[str, Any]:
    """Book and send what the sync ledger or Stripe lacks, or has too much."""
    now = utc_now()
    window = reconciling.window_until(now, since=asked.since)
    made = reconciling.repair(wiring.slice_store(), wiring.payments(), asked.tenant_id, window, now=now)
    return {"entries": [{"identifier": one.identifier, "quantity": one.quantity, "state": one.state} for one in made]}
