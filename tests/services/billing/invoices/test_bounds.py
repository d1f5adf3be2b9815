"""Work and stored sums that no tenant can make grow without end."""

from datetime import timedelta
from typing import Any

import pytest

from services.billing.domain.cost import Period
from services.billing.domain.invoice import MAX_LINES_OF_PAGE, InvoiceLine, page_of
from services.billing.domain.usage import HOUR, Entry, HourUsage
from services.billing.errors import BookingUnfinished, KeyNotAccepted
from services.billing.gateways.stripe_objects import MAX_LINES, invoice_of
from services.billing.operations import costs
from services.billing.operations.usage import BOOKED_AT_ONCE, book_open_hours, flush, take_in
from services.billing.table.invoices import find_invoice, save_invoice
from services.billing.table.usage import keep_usage
from shared.meters import Meter
from shared.storage.items import Key, item_to_wire
from tests.services.billing.subscriptions import ENDS, STARTED
from tests.services.billing.test_outages import CLOSED, FIRST, fail_with
from tests.services.billing.test_webhooks import invoice
from tests.services.billing.worlds import TENANT, World

ITEM_BYTES = 400_000
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html"""


class TestFoundInSum:
    def test_leaves_the_entry_to_people_with_the_reason(self) -> None:
        world = World()
        world.subscribe()
        fail_with(world, None)
        for rev in range(20):
            usage = HourUsage(FIRST, rev, {Meter.TOKENS_IN: 2**rev}, events=1)
            take_in(world.store, world.stripe, TENANT, usage, now=CLOSED, send_now=False)
        for place, item in list(world.table.items.items()):
            if item.get("state") == "pending":
                first_sent = {"state": "sent", "first_sent_at": "2026-11-22T12:10:00.000Z"}
                world.table.items[place] = {**item, **first_sent}
        left = flush(world.store, world.stripe, TENANT, now=CLOSED + timedelta(hours=30))
        assert left.open == 20
        assert left.reasons == ("Stripe's sum of the hour does not show whether it arrived: undecided.",)


class TestBooking:
    def test_of_a_late_subscription_goes_on_in_steps(self) -> None:
        world = World()
        hours = BOOKED_AT_ONCE + 50
        for number in range(hours):
            keep_usage(world.store, TENANT, HourUsage(FIRST + number * HOUR, 0, {Meter.TOKENS_IN: 1}, events=1))
        now = FIRST + (hours + 1) * HOUR
        world.subscribe(now=now)
        with pytest.raises(BookingUnfinished):
            book_open_hours(world.store, world.stripe, TENANT, now=now)
        assert len(world.ledger()) == BOOKED_AT_ONCE
        book_open_hours(world.store, world.stripe, TENANT, now=now)
        assert len(world.ledger()) == hours

    def test_asks_a_stripe_that_does_not_work_once(self) -> None:
        world = World()
        for number in range(5):
            keep_usage(world.store, TENANT, HourUsage(FIRST + number * HOUR, 0, {Meter.TOKENS_IN: 1}, events=1))
        now = FIRST + 6 * HOUR
        world.subscribe(now=now)
        tries: list[str] = []

        def refuse(entry: Entry) -> None:
            tries.append(entry.identifier)
            raise KeyNotAccepted

        world.stripe.before_send = refuse
        book_open_hours(world.store, world.stripe, TENANT, now=now)
        assert (len(tries), len(world.ledger())) == (1, 5)


class TestInvoice:
    PERIOD = Period(STARTED, ENDS)

    def line(self, number: int, *, item: str = "other", description: str = "") -> InvoiceLine:
        return InvoiceLine(f"il_{number}", item, description, 1, 10, self.PERIOD, proration=False)

    def at_stripe(self, lines: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """An invoice with this number of lines, as Stripe returns it."""
        period = {"start": 1_795_000_000, "end": 1_797_000_000}
        shown = [
            {"id": f"il_{number}", "description": "x" * 5_000, "quantity": 1, "amount": 7, "period": period}
            for number in range(lines)
        ]
        fields: dict[str, Any] = {
            "id": "in_1",
            "status": "paid",
            "currency": "usd",
            "amount_due": 7 * lines,
            "attempt_count": 1,
            "period_start": period["start"],
            "period_end": period["end"],
            "created": period["start"],
            "subtotal": 7 * lines,
            "post_payment_credit_notes_amount": 0,
        }
        return fields, shown

    @pytest.mark.parametrize("lines", [1, MAX_LINES, MAX_LINES + 1, 5_000])
    def test_with_any_number_of_lines_fits_into_an_item_and_adds_up(self, lines: int) -> None:
        fields, shown = self.at_stripe(lines)
        made = invoice_of(fields, lines=shown[: MAX_LINES + 1], places={})
        assert sum(line.amount_cents for line in made.lines) == made.amount_cents
        world = World()
        save_invoice(world.store, TENANT, invoice(lines=made.lines, rev=1))
        item = world.table.items[Key(f"TENANT#{TENANT}#BILLING#INVOICES", "in_1")]
        assert len(repr(item_to_wire(item))) < ITEM_BYTES
        assert find_invoice(world.store, TENANT, "in_1")

    def test_a_page_of_large_ones_ends_early_and_has_at_least_one(self) -> None:
        large = invoice(lines=tuple(self.line(number) for number in range(MAX_LINES_OF_PAGE + 1)))
        small = invoice(lines=(self.line(0),))
        assert page_of([large, small]) == [large]
        assert page_of([small, large, small]) == [small]
        assert page_of([small] * 100) == [small] * 100
        assert page_of([]) == []

    def test_lists_a_bounded_number_of_hours_and_says_how_many_it_omits(self) -> None:
        world = World()
        world.subscribe()
        for rev in range(7):
            world.use(FIRST, rev=rev, now=CLOSED, tokens_in=1)
        save_invoice(world.store, TENANT, invoice(lines=(self.line(1, item="tokens_in"),), rev=1))
        _, [line] = costs.explain_invoice(world.store, TENANT, "in_1", max_hours=5)
        assert (len(line.entries), line.omitted) == (5, 2)
