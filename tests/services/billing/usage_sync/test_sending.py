"""Two functions that send the same entry at the same time."""

from datetime import timedelta

import pytest

from services.billing.domain.usage import Entry, EntryState
from services.billing.errors import EntryChanged, KeyNotAccepted, PaymentsBusy
from services.billing.operations.sending import send_entry
from tests.services.billing.test_outages import CLOSED, FIRST, IN, fail_with
from tests.services.billing.test_sync import fails
from tests.services.billing.worlds import World


@pytest.fixture
def world() -> World:
    """A paying tenant with an entry that could not be sent."""
    made = World()
    made.subscribe()
    fail_with(made, KeyNotAccepted())
    made.use(FIRST, now=CLOSED, tokens_in=120)
    fail_with(made, None)
    return made


class TestSendEntry:
    LATER = CLOSED + timedelta(minutes=2)

    def test_a_slower_sender_does_not_undo_the_attempt_of_a_quicker_one(self, world: World) -> None:

        [entry] = world.ledger()

        def meanwhile(_: Entry) -> None:
            world.stripe.before_send = fails()
            world.stripe.after_send = fails()
            [sent] = world.ledger()
            send_entry(world.store, world.stripe, world.customer, sent, now=self.LATER)
            raise PaymentsBusy

        world.stripe.before_send = meanwhile
        with pytest.raises(EntryChanged):
            send_entry(world.store, world.stripe, world.customer, entry, now=self.LATER)
        assert world.states() == {IN: EntryState.ACCEPTED}

    def test_an_attempt_that_is_still_uncertain_is_not_undone(self, world: World) -> None:
        [entry] = world.ledger()

        def meanwhile(_: Entry) -> None:
            # Another function has begun an attempt of its own, whose result is not known yet.
            [sent] = world.ledger()
            world.stripe.before_send = fails()
            world.table.before_write = lambda: None
            place = next(place for place in world.table.items if place[1].endswith(IN))
            world.table.items[place] = {**world.table.items[place], "attempts": sent.attempts + 1}
            raise PaymentsBusy

        world.stripe.before_send = meanwhile
        with pytest.raises(EntryChanged):
            send_entry(world.store, world.stripe, world.customer, entry, now=self.LATER)
        assert world.states() == {IN: EntryState.SENT}

    def test_an_entry_of_an_earlier_version_has_made_no_attempts(self, world: World) -> None:
        for place, item in list(world.table.items.items()):
            world.table.items[place] = {name: value for name, value in item.items() if name != "attempts"}
        [entry] = world.ledger()
        send_entry(world.store, world.stripe, world.customer, entry, now=self.LATER)
        assert world.states() == {IN: EntryState.ACCEPTED}
