"""One subscription for a tenant: one open checkout page, and an end for whatever is paid twice all the same."""

import itertools
import json
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import pytest

from services.billing.domain.subscription import Subscription, SubscriptionState
from services.billing.errors import (
    AlreadySubscribed,
    CheckoutClosed,
    CheckoutInProgress,
    PaymentsUnavailable,
    RefusedByStripe,
)
from services.billing.gateways.inbox import FakeInbox
from services.billing.gateways.payments import Order
from services.billing.operations.plans import start_checkout
from services.billing.operations.reconciling import compare, window_until
from services.billing.operations.sweeping import sweep_others
from services.billing.operations.webhooks import handle, receive
from services.billing.table.checkouts import LEASE
from services.billing.table.duplicates import open_duplicates
from services.billing.table.invoices import list_invoices
from shared.plans import Plan
from shared.storage.due import list_quarantined
from tests.infra_local.stripe.servers import refuse_without_description
from tests.services.billing.stripes import Shop, shop
from tests.services.billing.subscriptions import STARTED, subscription
from tests.services.billing.test_sync import Died, dies_at
from tests.services.billing.test_webhooks import webhook
from tests.services.billing.worlds import CUSTOMER_ID, TENANT, World

MINUTE = timedelta(minutes=1)
LATER = STARTED + 5 * MINUTE


def order(plan: Plan = Plan.PRO) -> Order:
    return Order(TENANT, plan, "http://localhost:3000/paid", "http://localhost:3000/left")


def open_page(world: World, *, key: str | None = None, plan: Plan = Plan.PRO, after: timedelta = timedelta()) -> str:
    return start_checkout(world.store, world.stripe, order(plan), key=key, now=STARTED + after).checkout_id


def ours(number: int, *, plan: Plan = Plan.PRO, **other: Any) -> Subscription:  # noqa: ANN401 — any field
    """The n-th subscription that a checkout of the tenant has made."""
    started_at = STARTED + number * MINUTE
    return subscription(subscription_id=f"sub_{number}", plan=plan, started_at=started_at, tenant_id=TENANT, **other)


class TestOpenPages:
    def test_there_is_one_at_a_time(self) -> None:
        world = World()
        pages = [open_page(world, plan=plan) for plan in (Plan.PRO, Plan.ENTERPRISE, Plan.PRO)]
        assert list(world.stripe.open_checkouts) == [pages[-1]]

    def test_of_another_customer_stay_open(self) -> None:
        world = World()
        world.stripe.open_checkouts["cs_other"] = ("cus_other", None)
        page = open_page(world)
        assert list(world.stripe.open_checkouts) == ["cs_other", page]

    def test_two_requests_do_not_open_one_each(self) -> None:
        world = World()

        def meanwhile(_: str) -> None:
            world.stripe.before_close_checkouts = lambda _: None
            with pytest.raises(CheckoutInProgress):
                open_page(world)

        world.stripe.before_close_checkouts = meanwhile
        page = open_page(world)
        assert list(world.stripe.open_checkouts) == [page]

    @pytest.mark.parametrize("write", range(1, 3))
    def test_after_a_crash_the_next_request_closes_what_was_left(self, write: int) -> None:
        world = World()
        world.table.before_write = dies_at(write)
        with pytest.raises(Died):
            open_page(world)
        world.table.before_write = lambda: None
        page = open_page(world, after=LEASE)
        assert list(world.stripe.open_checkouts) == [page]

    def test_an_outage_gives_the_lease_back(self) -> None:
        world = World()
        world.stripe.failing[CUSTOMER_ID] = PaymentsUnavailable()
        with pytest.raises(PaymentsUnavailable):
            open_page(world)
        world.stripe.failing.clear()
        assert open_page(world)

    def test_a_page_that_is_paid_as_it_is_closed_is_a_subscription(self) -> None:
        world = World()
        open_page(world)

        def paid_meanwhile(customer_id: str) -> None:
            world.stripe.subscriptions[customer_id] = [ours(1)]

        world.stripe.before_close_checkouts = paid_meanwhile
        with pytest.raises(AlreadySubscribed):
            open_page(world)

    def test_a_completed_checkout_closes_the_others(self) -> None:
        world = World()
        open_page(world)
        world.stripe.subscriptions[CUSTOMER_ID] = [ours(1)]
        receive(world.store, FakeInbox(), json.dumps(webhook(kind="checkout.session.completed")), now=STARTED)
        handle(world.store, world.stripe, "evt_1", now=STARTED)
        assert world.stripe.open_checkouts == {}


class TestSecondSubscription:
    def hear(self, world: World, *events: str) -> None:
        """Deliver webhooks, each of them a new one unless it was delivered before."""
        for event_id in events:
            receive(world.store, FakeInbox(), json.dumps(webhook(event_id)), now=LATER)
            handle(world.store, world.stripe, event_id, now=LATER)

    def pay_twice(self, world: World) -> None:
        world.stripe.subscriptions[CUSTOMER_ID] = [ours(1), ours(2, plan=Plan.ENTERPRISE)]
        world.stripe.paid_cents = {"sub_1": 2_900, "sub_2": 29_900}

    def sweep(self, world: World, minutes: int = 3) -> None:
        for minute in range(minutes):
            sweep_others(world.store, world.stripe, now=LATER + minute * MINUTE)

    @pytest.mark.parametrize("at_stripe", list(itertools.permutations([1, 2])))
    @pytest.mark.parametrize("events", [("evt_1",), ("evt_1", "evt_2"), ("evt_2", "evt_1", "evt_1", "evt_2")])
    def test_is_ended_and_refunded_once_in_any_order(self, at_stripe: tuple[int, ...], events: tuple[str, ...]) -> None:
        world = World()
        self.pay_twice(world)
        found = world.stripe.subscriptions[CUSTOMER_ID]
        found[:] = [found[number - 1] for number in at_stripe]
        self.hear(world, *events)
        self.sweep(world)
        self.hear(world, "evt_3", *events)
        self.sweep(world)
        assert world.stripe.refunds == [("sub_2", 29_900)]
        assert [one.subscription_id for one in found if one.goes_on] == ["sub_1"]
        assert world.customer.subscription
        assert (world.customer.subscription.subscription_id, world.customer.plan) == ("sub_1", Plan.PRO)

    def test_is_the_later_one_when_it_is_heard_of_first(self) -> None:
        world = World()
        self.pay_twice(world)
        first, second = world.stripe.subscriptions[CUSTOMER_ID]
        world.stripe.subscriptions[CUSTOMER_ID] = [second]
        self.hear(world, "evt_2")
        assert world.customer.plan is Plan.ENTERPRISE
        world.stripe.subscriptions[CUSTOMER_ID] = [first, second]
        self.hear(world, "evt_1")
        self.sweep(world)
        # The known one stays, because usage was sent under it.
        assert world.stripe.refunds == [("sub_1", 2_900)]
        assert world.customer.plan is Plan.ENTERPRISE

    @pytest.mark.parametrize("write", range(1, 7))
    def test_heard_of_by_two_functions_at_once_is_refunded_once(self, write: int) -> None:
        world = World()
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
        world = World()
        self.pay_twice(world)
        receive(world.store, FakeInbox(), json.dumps(webhook()), now=LATER)
        world.table.before_write = dies_at(write)
        for step in (lambda: handle(world.store, world.stripe, "evt_1", now=LATER), lambda: self.sweep(world, 1)):
            self.until_it_dies(step)
        world.table.before_write = lambda: None
        self.hear(world, "evt_1")
        self.sweep(world)
        assert [cents for _, cents in world.stripe.refunds if cents] == [29_900]
        assert list(open_duplicates(world.store, TENANT)) == []

    def until_it_dies(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Died:
            return

    def test_that_was_made_by_hand_at_stripe_is_left_alone_and_shown(self) -> None:
        world = World()
        by_hand = subscription(subscription_id="sub_hand", started_at=STARTED + MINUTE)
        world.stripe.subscriptions[CUSTOMER_ID] = [ours(0), by_hand]
        self.hear(world, "evt_1")
        self.sweep(world)
        assert world.stripe.refunds == []
        [finding] = compare(world.store, world.stripe, TENANT, window_until(LATER), now=LATER)
        assert (finding.drift.place, finding.drift.subject) == ("subscription", "sub_hand")
        assert not finding.pending

    def test_that_stripe_does_not_refund_is_shown_and_left_to_an_operator(self) -> None:
        world = World()
        self.pay_twice(world)
        self.hear(world, "evt_1")

        def disputed(_: str) -> None:
            raise RefusedByStripe("charge_disputed")  # noqa: EM101 — as Stripe answers

        world.stripe.before_end_duplicate = disputed
        self.sweep(world, minutes=60)
        [failure] = list_quarantined(world.store)
        assert (failure.tenant_id, failure.entry.kind) == (TENANT, "DUPLICATE")
        [finding] = compare(world.store, world.stripe, TENANT, window_until(LATER), now=LATER)
        assert finding.drift.subject == "sub_2"

    def test_is_none_when_the_first_is_over(self) -> None:
        world = World()
        world.stripe.subscriptions[CUSTOMER_ID] = [ours(1, state=SubscriptionState.CANCELED, ended_at=LATER), ours(2)]
        self.hear(world, "evt_1")
        self.sweep(world)
        assert world.stripe.refunds == []
        assert world.customer.subscription
        assert world.customer.subscription.subscription_id == "sub_2"


class TestAtStripe:
    @pytest.fixture
    def at(self) -> Generator[Shop]:
        """A shop."""
        refuse_without_description()
        with shop() as made:
            yield made

    def sessions(self, at: Shop) -> dict[str, str]:
        """The states of all pages by their ids, the oldest first."""
        found = at.local.client.v1.checkout.sessions.list({"limit": 100}).data
        return {one.id: str(one.status) for one in reversed(found)}

    def test_a_new_page_closes_the_one_before(self, at: Shop) -> None:
        first, second = at.checkout(), at.checkout(Plan.ENTERPRISE)
        assert first != second
        assert list(self.sessions(at).values()) == ["expired", "open"]
        at.pay(first)
        at.pay(second)
        at.hear()
        assert at.customer.plan is Plan.ENTERPRISE
        assert [one.goes_on for one in at.payments.subscriptions_of(str(at.customer.stripe_customer_id))] == [True]

    def test_the_same_key_keeps_its_page_until_another_replaces_it(self, at: Shop) -> None:
        first = at.checkout(key="a")
        assert at.checkout(key="a") == first
        at.checkout(key="b")
        with pytest.raises(CheckoutClosed):
            at.checkout(key="a")

    def test_two_that_are_paid_all_the_same_leave_one_and_a_refund(self, at: Shop) -> None:
        at.checkout()
        at.checkout(Plan.ENTERPRISE)
        for session_id in self.sessions(at):
            assert "error" not in at.local.control(f"checkouts/{session_id}/pay", {})
            at.local.control("clock", {"advance_s": 60})
        at.hear()
        assert len(list(open_duplicates(at.store, TENANT))) == 1
        for minute in range(2):
            sweep_others(at.store, at.payments, now=at.now + minute * MINUTE)
        at.hear()
        customer_id = str(at.customer.stripe_customer_id)
        assert [one.plan for one in at.payments.subscriptions_of(customer_id) if one.goes_on] == [Plan.PRO]
        assert at.customer.plan is Plan.PRO
        credited = {one.amount_cents: one.credited_cents for one in list_invoices(at.store, TENANT)}
        assert credited == {2_900: 0, 29_900: 29_900}
        assert len(at.local.client.v1.credit_notes.list().data) == 1

    def test_a_refund_is_counted_by_the_call_that_made_it(self, at: Shop) -> None:
        at.subscribe()
        [one] = at.payments.subscriptions_of(str(at.customer.stripe_customer_id))
        assert [at.payments.end_duplicate(one.subscription_id) for _ in range(2)] == [2_900, 0]

    @pytest.mark.parametrize("kind", ["lost_answer", "500", "timeout", "401", "429"])
    def test_the_refund_is_made_once_whatever_goes_wrong(self, at: Shop, kind: str) -> None:
        at.checkout()
        at.checkout()
        for session_id in self.sessions(at):
            at.local.control(f"checkouts/{session_id}/pay", {})
        at.hear()
        faults = [{"kind": kind, "path": path} for path in ("/v1/credit_notes", "/v1/subscriptions/")]
        at.local.control("faults", {"next": faults})
        for minute in range(6):
            sweep_others(at.store, at.payments, now=at.now + minute * MINUTE)
        assert [one.amount for one in at.local.client.v1.credit_notes.list().data] == [2_900]
        assert list(open_duplicates(at.store, TENANT)) == []

    def test_an_unpaid_invoice_of_a_second_subscription_is_never_collected(self, at: Shop) -> None:
        at.checkout()
        at.checkout()
        for session_id in self.sessions(at):
            at.local.control(f"checkouts/{session_id}/pay", {})
        at.local.control("settings", {"decline_payments": -1})
        at.local.control("clock", {"advance_s": 33 * 86_400})
        at.hear()
        sweep_others(at.store, at.payments, now=at.now)
        customer_id = str(at.customer.stripe_customer_id)
        ended = [one for one in at.payments.subscriptions_of(customer_id) if not one.goes_on]
        invoices = at.local.client.v1.invoices.list({"subscription": ended[0].subscription_id}).data
        assert {one.status for one in invoices} == {"paid", "void"}
        assert all(one.amount_paid == one.post_payment_credit_notes_amount for one in invoices)
