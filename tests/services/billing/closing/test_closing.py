"""The end of a tenant."""

from datetime import UTC, datetime, timedelta

import pytest

from services.billing.domain.subscription import SubscriptionState
from services.billing.domain.usage import HOUR, EntryState
from services.billing.errors import PaymentsUnavailable
from services.billing.operations.closing import close_tenant
from shared.storage.inbox import AlreadyHandled, Delivery
from tests.services.billing.subscriptions import subscription
from tests.services.billing.test_sync import fails
from tests.services.billing.worlds import CUSTOMER_ID, TENANT, World

FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)
NOW = FIRST + HOUR + timedelta(minutes=10)
DELIVERY = Delivery("billing.consumer", "demo-org:usage_closed", NOW)


@pytest.fixture
def world() -> World:
    """A paying tenant with an hour that could not be sent."""
    made = World()
    made.subscribe()
    made.stripe.before_send = fails(PaymentsUnavailable())
    made.use(FIRST, now=NOW, tokens_in=7)
    return made


class TestCloseTenant:
    def test_sends_the_last_usage_before_the_subscription_ends_and_says_so_once(self, world: World) -> None:
        close_tenant(world.store, world.stripe, TENANT, delivery=DELIVERY, now=NOW)
        assert set(world.states().values()) == {EntryState.ACCEPTED}
        assert world.stripe.asked == [("end_now", "sub_1", None)]
        assert "demo-org:usage_synced" in world.table.events()
        with pytest.raises(AlreadyHandled):
            close_tenant(world.store, world.stripe, TENANT, delivery=DELIVERY, now=NOW)

    def test_cut_off_after_the_end_it_goes_on_from_there(self, world: World) -> None:
        world.stripe.subscriptions[CUSTOMER_ID] = [subscription(SubscriptionState.CANCELED, ended_at=NOW)]
        close_tenant(world.store, world.stripe, TENANT, delivery=DELIVERY, now=NOW)
        assert world.stripe.asked == []
        assert "demo-org:usage_synced" in world.table.events()

    def test_waits_while_something_cannot_be_sent(self, world: World) -> None:
        world.stripe.before_send = fails(PaymentsUnavailable())
        with pytest.raises(PaymentsUnavailable):
            close_tenant(world.store, world.stripe, TENANT, delivery=DELIVERY, now=NOW)
        assert world.stripe.asked == []
        assert "demo-org:usage_synced" not in world.table.events()

    def test_of_a_manual_tenant_is_said_at_once(self) -> None:
        manual = World()
        close_tenant(manual.store, None, TENANT, delivery=DELIVERY, now=NOW)
        assert manual.table.events() == ["demo-org:usage_synced"]
