"""One open checkout page and one subscription for each tenant; duplicates are ended and refunded."""

import itertools
import json
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest

from services.billing.customers.domain.subscription import Subscription, SubscriptionState
from services.billing.errors import (
    AlreadySubscribed,
    CheckoutClosed,
    CheckoutInProgress,
    PaymentsUnavailable,
    RejectedByStripe,
)
from services.billing.invoices.table import InvoiceTable
from services.billing.reconciliation.operations import compare, window_until
from services.billing.stripe_webhooks.operations import handle, receive
from services.billing.subscriptions.domain import CheckoutOrder
from services.billing.subscriptions.operations import start_checkout
from services.billing.subscriptions.table import LEASE_DURATION, DuplicateTable
from services.billing.sweep.operations import sweep_others
from shared.plans import Plan
from shared.storage.quarantine import list_quarantined
from tests.sandbox.stripe.servers import refuse_without_description
from tests.services.billing.fakes import FakeInbox
from tests.services.billing.local_stripe import StripeWorld, stripe_world
from tests.services.billing.stripe_subscriptions import STARTED, subscription
from tests.services.billing.stripe_webhooks.test_webhooks import webhook
from tests.services.billing.usage_sync.test_sync import Died, dies_at
from tests.services.billing.world import CUSTOMER_ID, TENANT, BillingWorld

MINUTE = timedelta(minutes=1)
LATER = STARTED + 5 * MINUTE


def order(plan: Plan = Plan.PRO) -> CheckoutOrder:
    return CheckoutOrder(TENANT, plan, "http://localhost:3000/paid", "http://localhost:3000/left")


def open_page(
    world: BillingWorld, *, key: str | None = None, plan: Plan = Plan.PRO, after: timedelta = timedelta()
) -> str:
    return start_checkout(world.store, world.stripe, order(plan), key=key, now=STARTED + after).checkout_id


def ours(number: int, *, plan: Plan = Plan.PRO, **other: Any) -> Subscription:  # noqa: ANN401 — any field
    """Return the n-th subscription created by a checkout of the tenant."""
    started_at = STARTED + number * MINUTE
    return subscription(subscription_id=f"sub_{number}", plan=plan, started_at=started_at, tenant_id=TENANT, **other)


class TestOpenPages:
    def test_are_limited_to_one(self) -> None:
        world = BillingWorld()
        pages = [open_page(world, plan=plan) for plan in (Plan.PRO, Plan.ENTERPRISE, Plan.PRO)]
        assert list(world.stripe.open_checkouts) == [pages[-1]]

    def test_of_other_customers_stay_open(self) -> None:
        world = BillingWorld()
        world.stripe.open_checkouts["cs_other"] = ("cus_other", None)
        page = open_page(world)
        assert list(world.stripe.open_checkouts) == ["cs_other", page]

    def test_are_not_opened_by_two_requests_at_once(self) -> None:
        world = BillingWorld()

        def meanwhile(_: str) -> None:
            world.stripe.before_close_checkouts = lambda _: None
            with pytest.raises(CheckoutInProgress):
                open_page(world)

        world.stripe.before_close_checkouts = meanwhile
        page = open_page(world)
        assert list(world.stripe.open_checkouts) == [page]

    @pytest.mark.parametrize("write", range(1, 3))
    def test_are_closed_by_the_next_request_after_a_crash(self, write: int) -> None:
        world = BillingWorld()
        world.table.before_write = dies_at(write)
        with pytest.raises(Died):
            open_page(world)
        world.table.before_write = lambda: None
        page = open_page(world, after=LEASE_DURATION)
        assert list(world.stripe.open_checkouts) == [page]

    def test_release_the_lease_after_an_outage(self) -> None:
        world = BillingWorld()
        world.stripe.failing[CUSTOMER_ID] = PaymentsUnavailable()
        with pytest.raises(PaymentsUnavailable):
            open_page(world)
        world.stripe.failing.clear()
        assert open_page(world)

    def test_refuse_another_checkout_if_a_page_is_paid_while_it_is_closed(self) -> None:
        world = BillingWorld()
        open_page(world)

        def paid_meanwhile(customer_id: str) -> None:
            world.stripe.subscriptions[customer_id] = [ours(1)]

        world.stripe.before_close_checkouts = paid_meanwhile
        with pytest.raises(AlreadySubscribed):
            open_page(world)

    def test_are_closed_by_a_completed_checkout(self) -> None:
        world = BillingWorld()
        open_page(world)
        world.stripe.subscriptions[CUSTOMER_ID] = [ours(1)]
        receive(world.store, FakeInbox(), json.dumps(webhook(kind="checkout.session.completed")), now=STARTED)
        handle(world.store, world.stripe, "evt_1", now=STARTED)
        assert world.stripe.open_checkouts == {}


class TestDuplicateSubscription:
    def deliver(self, world: BillingWorld, *events: str) -> None:
        """Deliver webhooks. A repeated name is a duplicate delivery."""
        for event_id in events:
            receive(world.store, FakeInbox(), json.dumps(webhook(event_id)), now=LATER)
            handle(world.store, world.stripe, event_id, now=LATER)

    def pay_twice(self, world: BillingWorld) -> None:
        world.stripe.subscriptions[CUSTOMER_ID] = [ours(1), ours(2, plan=Plan.ENTERPRISE)]
        world.stripe.paid_cents = {"sub_1": 2_900, "sub_2": 29_900}

    def sweep(self, world: BillingWorld, minutes: int = 3) -> None:
        for minute in range(minutes):
            sweep_others(world.store, world.stripe, now=LATER + minute * MINUTE)

    @pytest.mark.parametrize("at_stripe", list(itertools.permutations([1, 2])))
    @pytest.mark.parametrize("events", [("evt_1",), ("evt_1", "evt_2"), ("evt_2", "evt_1", "evt_1", "evt_2")])
    def test_is_ended_and_refunded_once_in_any_order(self, at_stripe: tuple[int, ...], events: tuple[str, ...]) -> None:
        world = BillingWorld()
        self.pay_twice(world)
        found = world.stripe.subscriptions[CUSTOMER_ID]
        found[:] = [found[number - 1] for number in at_stripe]
        self.deliver(world, *events)
        self.sweep(world)
        self.deliver(world, "evt_3", *events)
        self.sweep(world)
        assert world.stripe.refunds == [("sub_2", 29_900)]
        assert [one.subscription_id for one in found if one.is_ongoing] == ["sub_1"]
        assert world.customer.subscription
        assert (world.customer.subscription.subscription_id, world.customer.plan) == ("sub_1", Plan.PRO)

    def test_is_the_later_one_even_if_reported_first(self) -> None:
        world = BillingWorld()
        self.pay_twice(world)
        first, second = world.stripe.subscriptions[CUSTOMER_ID]
        world.stripe.subscriptions[CUSTOMER_ID] = [second]
        self.deliver(world, "evt_2")
        assert world.customer.plan is Plan.ENTERPRISE
        world.stripe.subscriptions[CUSTOMER_ID] = [first, second]
        self.deliver(world, "evt_1")
        self.sweep(world)
        # The known one stays current, because usage was billed to it.
        assert world.stripe.refunds == [("sub_1", 2_900)]
        assert world.customer.plan is Plan.ENTERPRISE

    @pytest.mark.parametrize("write", range(1, 7))
    def test_is_refunded_once_by_two_concurrent_functions(self, write: int) -> None:
        world = BillingWorld()
        self.pay_twice(world)
        for event_id in ("evt_1", "evt_2"):
            receive(world.store, FakeInbox(), json.dumps(webhook(event_id)), now=LATER)
        writes = itertools.count(1)

        def meanwhile() -> None:
            if next(writes) == write:
                handle(world.store, world.stripe, "evt_2", now=LATER)
                self.sweep(world, 1)

        world.table.before_write = meanwhile
        handle(world.store, world.stripe, "evt_1", now=LATER)
        self.sweep(world)
        assert [refund for refund in world.stripe.refunds if refund[1]] == [("sub_2", 29_900)]

    @pytest.mark.parametrize("write", range(1, 6))
    def test_is_ended_after_a_crash_at_any_write(self, write: int) -> None:
        world = BillingWorld()
        self.pay_twice(world)
        receive(world.store, FakeInbox(), json.dumps(webhook()), now=LATER)
        world.table.before_write = dies_at(write)
        for step in (lambda: handle(world.store, world.stripe, "evt_1", now=LATER), lambda: self.sweep(world, 1)):
            self.until_it_dies(step)
        world.table.before_write = lambda: None
        self.deliver(world, "evt_1")
        self.sweep(world)
        assert [cents for _, cents in world.stripe.refunds if cents] == [29_900]
        assert list(DuplicateTable(world.store, TENANT).open_ids()) == []

    def until_it_dies(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Died:
            return

    def test_created_manually_is_reported_and_unchanged(self) -> None:
        world = BillingWorld()
        by_hand = subscription(subscription_id="sub_hand", started_at=STARTED + MINUTE)
        world.stripe.subscriptions[CUSTOMER_ID] = [ours(0), by_hand]
        self.deliver(world, "evt_1")
        self.sweep(world)
        assert world.stripe.refunds == []
        [finding] = compare(world.store, world.stripe, TENANT, window_until(LATER), now=LATER)
        assert (finding.drift.place, finding.drift.subject) == ("subscription", "sub_hand")
        assert not finding.pending

    def test_without_a_refund_is_reported_and_left_to_an_operator(self) -> None:
        world = BillingWorld()
        self.pay_twice(world)
        self.deliver(world, "evt_1")

        def disputed(_: str) -> None:
            raise RejectedByStripe("charge_disputed")  # noqa: EM101 — as Stripe answers

        world.stripe.before_end_duplicate = disputed
        self.sweep(world, minutes=60)
        [failure] = list_quarantined(world.store)
        assert (failure.tenant_id, failure.entry.kind) == (TENANT, "DUPLICATE")
        [finding] = compare(world.store, world.stripe, TENANT, window_until(LATER), now=LATER)
        assert finding.drift.subject == "sub_2"

    def test_does_not_exist_after_the_first_has_ended(self) -> None:
        world = BillingWorld()
        world.stripe.subscriptions[CUSTOMER_ID] = [ours(1, state=SubscriptionState.CANCELED, ended_at=LATER), ours(2)]
        self.deliver(world, "evt_1")
        self.sweep(world)
        assert world.stripe.refunds == []
        assert world.customer.subscription
        assert world.customer.subscription.subscription_id == "sub_2"


class TestAtStripe:
    @pytest.fixture
    def at(self) -> Generator[StripeWorld]:
        """Yield a tenant and its local Stripe."""
        refuse_without_description()
        with stripe_world() as world:
            yield world

    def sessions(self, at: StripeWorld) -> dict[str, str]:
        """Return the states of all pages by id, oldest first."""
        found = at.local.client.v1.checkout.sessions.list({"limit": 100}).data
        return {one.id: str(one.status) for one in reversed(found)}

    def test_a_new_page_closes_the_previous_one(self, at: StripeWorld) -> None:
        first, second = at.checkout(), at.checkout(Plan.ENTERPRISE)
        assert first != second
        assert list(self.sessions(at).values()) == ["expired", "open"]
        at.pay(first)
        at.pay(second)
        at.handle_webhooks()
        assert at.customer.plan is Plan.ENTERPRISE
        assert [one.is_ongoing for one in at.gateway.subscriptions_of(str(at.customer.stripe_customer_id))] == [True]

    def test_the_same_key_returns_its_page_until_another_replaces_it(self, at: StripeWorld) -> None:
        first = at.checkout(key="a")
        assert at.checkout(key="a") == first
        at.checkout(key="b")
        with pytest.raises(CheckoutClosed):
            at.checkout(key="a")

    def test_two_paid_pages_leave_one_subscription_and_one_refund(self, at: StripeWorld) -> None:
        at.checkout()
        at.checkout(Plan.ENTERPRISE)
        for session_id in self.sessions(at):
            assert "error" not in at.local.control(f"checkouts/{session_id}/pay", {})
            at.local.control("clock", {"advance_s": 60})
        at.handle_webhooks()
        assert len(list(DuplicateTable(at.store, TENANT).open_ids())) == 1
        for minute in range(2):
            sweep_others(at.store, at.gateway, now=at.now + minute * MINUTE)
        at.handle_webhooks()
        customer_id = str(at.customer.stripe_customer_id)
        assert [one.plan for one in at.gateway.subscriptions_of(customer_id) if one.is_ongoing] == [Plan.PRO]
        assert at.customer.plan is Plan.PRO
        credited = {one.amount_cents: one.credited_cents for one in InvoiceTable(at.store, TENANT).newest_first()}
        assert credited == {2_900: 0, 29_900: 29_900}
        assert len(at.local.client.v1.credit_notes.list().data) == 1

    def test_a_refund_is_returned_by_the_call_that_created_it(self, at: StripeWorld) -> None:
        at.subscribe()
        [one] = at.gateway.subscriptions_of(str(at.customer.stripe_customer_id))
        assert [at.gateway.end_duplicate(one.subscription_id) for _ in range(2)] == [2_900, 0]

    @pytest.mark.parametrize("kind", ["lost_answer", "500", "timeout", "401", "429"])
    def test_the_refund_is_created_once_despite_failures(self, at: StripeWorld, kind: str) -> None:
        at.checkout()
        at.checkout()
        for session_id in self.sessions(at):
            at.local.control(f"checkouts/{session_id}/pay", {})
        at.handle_webhooks()
        faults = [{"kind": kind, "path": path} for path in ("/v1/credit_notes", "/v1/subscriptions/")]
        at.local.control("faults", {"next": faults})
        for minute in range(6):
            sweep_others(at.store, at.gateway, now=at.now + minute * MINUTE)
        assert [one.amount for one in at.local.client.v1.credit_notes.list().data] == [2_900]
        assert list(DuplicateTable(at.store, TENANT).open_ids()) == []

    def test_an_unpaid_invoice_of_a_duplicate_is_never_collected(self, at: StripeWorld) -> None:
        at.checkout()
        at.checkout()
        for session_id in self.sessions(at):
            at.local.control(f"checkouts/{session_id}/pay", {})
        at.local.control("settings", {"decline_payments": -1})
        at.local.control("clock", {"advance_s": 33 * 86_400})
        at.handle_webhooks()
        sweep_others(at.store, at.gateway, now=at.now)
        customer_id = str(at.customer.stripe_customer_id)
        ended = [one for one in at.gateway.subscriptions_of(customer_id) if not one.is_ongoing]
        invoices = at.local.client.v1.invoices.list({"subscription": ended[0].subscription_id}).data
        assert {one.status for one in invoices} == {"paid", "void"}
        assert all(one.amount_paid == one.post_payment_credit_notes_amount for one in invoices)
