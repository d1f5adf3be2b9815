"""Two functions that send the same entry at the same time."""

from datetime import timedelta

import pytest

from services.billing.errors import ApiKeyRejected, EntryChanged, PaymentsBusy
from services.billing.usage_sync.domain import EntryState, SyncEntry
from services.billing.usage_sync.operations.sending import send_entry
from tests.services.billing.usage_sync.test_outages import CLOSED, FIRST, IN, fail_with
from tests.services.billing.usage_sync.test_sync import fails
from tests.services.billing.world import BillingWorld


@pytest.fixture
def world() -> BillingWorld:
    """Return a subscribed tenant with an entry that could not be sent."""
    world = BillingWorld()
    world.subscribe()
    fail_with(world, ApiKeyRejected())
    world.close_hour(FIRST, now=CLOSED, tokens_in=120)
    fail_with(world, None)
    return world


class TestSendEntry:
    LATER = CLOSED + timedelta(minutes=2)

    def test_a_slow_sender_does_not_revert_the_attempt_of_a_fast_one(self, world: BillingWorld) -> None:

        [entry] = world.ledger()

        def meanwhile(_: SyncEntry) -> None:
            world.stripe.before_send = fails()
            world.stripe.after_send = fails()
            [sent] = world.ledger()
            send_entry(world.store, world.stripe, world.customer, sent, now=self.LATER)
            raise PaymentsBusy

        world.stripe.before_send = meanwhile
        with pytest.raises(EntryChanged):
            send_entry(world.store, world.stripe, world.customer, entry, now=self.LATER)
        assert world.states() == {IN: EntryState.ACCEPTED}

    def test_does_not_revert_an_uncertain_attempt(self, world: BillingWorld) -> None:
        [entry] = world.ledger()

        def meanwhile(_: SyncEntry) -> None:
            # Another function has started an attempt, whose result is not known yet.
            [sent] = world.ledger()
            world.stripe.before_send = fails()
            world.table.before_write = lambda: None
            key = next(key for key in world.table.items if key[1].endswith(IN))
            world.table.items[key] = {**world.table.items[key], "attempts": sent.attempts + 1}
            raise PaymentsBusy

        world.stripe.before_send = meanwhile
        with pytest.raises(EntryChanged):
            send_entry(world.store, world.stripe, world.customer, entry, now=self.LATER)
        assert world.states() == {IN: EntryState.SENT}

    def test_reads_an_entry_of_an_earlier_version_as_without_attempts(self, world: BillingWorld) -> None:
        for key, item in list(world.table.items.items()):
            world.table.items[key] = {name: value for name, value in item.items() if name != "attempts"}
        [entry] = world.ledger()
        send_entry(world.store, world.stripe, world.customer, entry, now=self.LATER)
        assert world.states() == {IN: EntryState.ACCEPTED}
