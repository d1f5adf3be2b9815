"""Scheduled actions: renewals, final invoices, payment retries and ends."""

from collections.abc import Callable, Iterator
from functools import partial

from sandbox.stripe import checkout, cycle, invoices, schedules
from sandbox.stripe.items import period_of
from sandbox.stripe.store import Json
from sandbox.stripe.world import DAY_S, StripeWorld

_INCOMPLETE_S = 23 * 3600
_WARNING_S = 3 * DAY_S

Due = tuple[int, int, Callable[[], object]]
"""The time of an action, its order among those of the same time, and the action."""


def pass_time(world: StripeWorld, *, clock: str | None, until: int) -> int:
    """Perform all actions that are due, each at its own time, and return their number.

    Args:
        world: the account.
        clock: the test clock of the customers; None for customers without one.
        until: seconds since 1970.
    """
    done = 0
    while (due := _first(world, clock, until)) is not None:
        with world.at(due[0]):
            due[2]()
        done += 1
    return done


def _first(world: StripeWorld, clock: str | None, until: int) -> Due | None:
    found = [due for due in _all_due(world, clock) if due[0] <= until]
    return min(found, key=lambda due: due[:2], default=None)


def _all_due(world: StripeWorld, clock: str | None) -> Iterator[Due]:
    kinds = {
        "subscription_schedule": _of_schedule,
        "subscription": _of_subscription,
        "invoice": _of_invoice,
        "checkout.session": _of_session,
    }
    for kind, of in kinds.items():
        for thing in world.store.all(kind):
            if thing.get("test_clock", _clock_of(world, thing)) == clock:
                yield from of(world, thing)


def _clock_of(world: StripeWorld, thing: Json) -> str | None:
    customer = world.store.find(thing["customer"]) if thing.get("customer") else None
    return customer.get("test_clock") if customer else None


def _of_schedule(world: StripeWorld, schedule: Json) -> Iterator[Due]:
    if schedule["status"] == "active":
        yield schedule["current_phase"]["end_date"], 0, partial(schedules.advance, world, schedule)


def _of_subscription(world: StripeWorld, subscription: Json) -> Iterator[Due]:
    status = subscription["status"]
    if status == "incomplete":
        yield subscription["created"] + _INCOMPLETE_S, 1, partial(cycle.expire, world, subscription)
        return
    if status in {*cycle.FINAL, "paused"}:
        return
    leaving, end = subscription["cancel_at"], period_of(subscription)[1]
    if leaving is not None:
        reason = "cancellation_requested"
        yield leaving, 1, partial(cycle.end, world, subscription, at=leaving, reason=reason)
    if status == "trialing":
        if not subscription.get("_warned"):
            yield end - _WARNING_S, 1, partial(_warn, world, subscription)
        yield end, 2, partial(_end_trial, world, subscription)
    else:
        yield end, 2, partial(cycle.renew, world, subscription)


def _of_invoice(world: StripeWorld, invoice: Json) -> Iterator[Due]:
    if invoice["status"] == "draft" and invoice["automatically_finalizes_at"] is not None:
        yield invoice["automatically_finalizes_at"], 3, partial(_finalize_and_pay, world, invoice)
    if invoice["status"] == "open" and invoice["next_payment_attempt"] is not None:
        yield invoice["next_payment_attempt"], 4, partial(cycle.pay, world, invoice)


def _of_session(world: StripeWorld, session: Json) -> Iterator[Due]:
    if session["status"] == "open":
        yield session["expires_at"], 5, partial(checkout.expire, world, session)


def _finalize_and_pay(world: StripeWorld, invoice: Json) -> None:
    cycle.pay(world, invoices.finalize(world, invoice))


def _warn(world: StripeWorld, subscription: Json) -> None:
    subscription["_warned"] = True
    world.emit("customer.subscription.trial_will_end", world.store.put(subscription))


def _end_trial(world: StripeWorld, subscription: Json) -> None:
    customer = world.store.get("customer", subscription["customer"])
    has_card = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    on_missing_card = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if has_card or on_missing_card == "create_invoice":
        cycle.renew(world, subscription)
    elif on_missing_card == "cancel":
        cycle.end(world, subscription, at=period_of(subscription)[1], reason="payment_failed")
    else:
        cycle.set_status(world, subscription, "paused")
        world.emit("customer.subscription.paused", subscription)
