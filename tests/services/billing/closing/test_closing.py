"""The end of a tenant."""

from datetime import UTC, datetime, timedelta

import pytest

from services.billing.closing.operations import close_tenant
from services.billing.customers.domain.subscription import SubscriptionState
from services.billing.errors import PaymentsUnavailable
from services.billing.usage_sync.domain import HOUR, EntryState
from shared.storage.inbox import AlreadyHandled, Delivery
from tests.services.billing.stripe_subscriptions import subscription
from tests.services.billing.usage_sync.test_sync import fails
from tests.services.billing.world import CUSTOMER_ID, TENANT, BillingWorld

FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)
NOW = FIRST + HOUR + timedelta(minutes=10)
DELIVERY = Delivery("billing.consumer", "demo-org:usage_closed", NOW)


@pytest.fixture
def world() -> BillingWorld:
    """Return a subscribed tenant with an hour that could not be sent."""
    world = BillingWorld()
    world.subscribe()
    world.stripe.before_send = fails(PaymentsUnavailable())
    world.close_hour(FIRST, now=NOW, tokens_in=7)
    return world


class TestCloseTenant:
    def test_sends_the_last_usage_ends_the_subscription_and_publishes_once(self, world: BillingWorld) -> None:
        close_tenant(world.store, world.stripe, TENANT, delivery=DELIVERY, now=NOW)
        assert set(world.states().values()) == {EntryState.ACCEPTED}
        assert world.stripe.subscription_changes == [("end_now", "sub_1", None)]
        assert "demo-org:usage_synced" in world.table.events()
        with pytest.raises(AlreadyHandled):
            close_tenant(world.store, world.stripe, TENANT, delivery=DELIVERY, now=NOW)

    def test_continues_after_an_interruption(self, world: BillingWorld) -> None:
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription(SubscriptionState.CANCELED, ended_at=NOW)]
        close_tenant(world.store, world.stripe, TENANT, delivery=DELIVERY, now=NOW)
        assert world.stripe.subscription_changes == []
        assert "demo-org:usage_synced" in world.table.events()

    def test_waits_while_usage_cannot_be_sent(self, world: BillingWorld) -> None:
        world.stripe.before_send = fails(PaymentsUnavailable())
        with pytest.raises(PaymentsUnavailable):
            close_tenant(world.store, world.stripe, TENANT, delivery=DELIVERY, now=NOW)
        assert world.stripe.subscription_changes == []
        assert "demo-org:usage_synced" not in world.table.events()

    def test_publishes_at_once_for_a_manually_billed_tenant(self) -> None:
        manual = BillingWorld()
        close_tenant(manual.store, None, TENANT, delivery=DELIVERY, now=NOW)
        assert manual.table.events() == ["demo-org:usage_synced"]
