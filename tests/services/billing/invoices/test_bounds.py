"""Limits on the work and the size of items that one tenant can cause."""

from datetime import timedelta
from typing import Any

import pytest

from services.billing.customers.domain.period import BillingPeriod
from services.billing.errors import ApiKeyRejected, BookingIncomplete
from services.billing.invoices.domain import MAX_LINES_PER_PAGE, InvoiceLine, limit_page
from services.billing.invoices.gateway import MAX_LINES, to_invoice
from services.billing.invoices.operations import explain_invoice
from services.billing.invoices.table import InvoiceTable
from services.billing.usage_sync.domain import HOUR, HourUsage, SyncEntry
from services.billing.usage_sync.operations.booking import MAX_HOURS_PER_BOOKING, book_open_hours, flush, ingest_hour
from services.billing.usage_sync.table.usage import UsageTable
from shared.meters import Meter
from shared.storage.items import Key, item_to_wire
from tests.services.billing.stripe_subscriptions import ENDS, STARTED
from tests.services.billing.stripe_webhooks.test_webhooks import invoice
from tests.services.billing.usage_sync.test_outages import CLOSED, FIRST, fail_with
from tests.services.billing.world import TENANT, BillingWorld

ITEM_BYTES = 400_000
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html"""


class TestSearchInSum:
    def test_leaves_an_undecided_entry_to_operators_with_the_reason(self) -> None:
        world = BillingWorld()
        world.subscribe()
        fail_with(world, None)
        for rev in range(20):
            usage = HourUsage(FIRST, rev, {Meter.TOKENS_IN: 2**rev}, events=1)
            ingest_hour(world.store, world.stripe, TENANT, usage, now=CLOSED, send_now=False)
        for item_key, item in list(world.table.items.items()):
            if item.get("state") == "pending":
                first_sent = {"state": "sent", "first_sent_at": "2026-11-22T12:10:00.000Z"}
                world.table.items[item_key] = {**item, **first_sent}
        left = flush(world.store, world.stripe, TENANT, now=CLOSED + timedelta(hours=30))
        assert left.open == 20
        assert left.reasons == ("Stripe's sum of the hour does not show whether it arrived: undecided.",)


class TestBooking:
    def test_of_a_late_subscription_continues_in_steps(self) -> None:
        world = BillingWorld()
        hours = MAX_HOURS_PER_BOOKING + 50
        for number in range(hours):
            UsageTable(world.store, TENANT).create(HourUsage(FIRST + number * HOUR, 0, {Meter.TOKENS_IN: 1}, events=1))
        now = FIRST + (hours + 1) * HOUR
        world.subscribe(now=now)
        with pytest.raises(BookingIncomplete):
            book_open_hours(world.store, world.stripe, TENANT, now=now)
        assert len(world.ledger()) == MAX_HOURS_PER_BOOKING
        book_open_hours(world.store, world.stripe, TENANT, now=now)
        assert len(world.ledger()) == hours

    def test_calls_an_unavailable_stripe_once(self) -> None:
        world = BillingWorld()
        for number in range(5):
            UsageTable(world.store, TENANT).create(HourUsage(FIRST + number * HOUR, 0, {Meter.TOKENS_IN: 1}, events=1))
        now = FIRST + 6 * HOUR
        world.subscribe(now=now)
        tries: list[str] = []

        def refuse(entry: SyncEntry) -> None:
            tries.append(entry.identifier)
            raise ApiKeyRejected

        world.stripe.before_send = refuse
        book_open_hours(world.store, world.stripe, TENANT, now=now)
        assert (len(tries), len(world.ledger())) == (1, 5)


class TestInvoice:
    PERIOD = BillingPeriod(STARTED, ENDS)

    def line(self, number: int, *, item: str = "other", description: str = "") -> InvoiceLine:
        return InvoiceLine(f"il_{number}", item, description, 1, 10, self.PERIOD, proration=False)

    def at_stripe(self, lines: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return an invoice with this number of lines, in Stripe's format."""
        period = {"start": 1_795_000_000, "end": 1_797_000_000}
        listed = [
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
        return fields, listed

    @pytest.mark.parametrize("lines", [1, MAX_LINES, MAX_LINES + 1, 5_000])
    def test_with_any_number_of_lines_fits_into_an_item_with_the_correct_sum(self, lines: int) -> None:
        fields, listed = self.at_stripe(lines)
        stored = to_invoice(fields, lines=listed[: MAX_LINES + 1], plans_and_items={})
        assert sum(line.amount_cents for line in stored.lines) == stored.amount_cents
        world = BillingWorld()
        InvoiceTable(world.store, TENANT).save(invoice(lines=stored.lines, rev=1))
        item = world.table.items[Key(f"TENANT#{TENANT}#BILLING#INVOICES", "in_1")]
        assert len(repr(item_to_wire(item))) < ITEM_BYTES
        assert InvoiceTable(world.store, TENANT).find("in_1")

    def test_a_page_of_large_invoices_ends_early_with_at_least_one(self) -> None:
        large = invoice(lines=tuple(self.line(number) for number in range(MAX_LINES_PER_PAGE + 1)))
        small = invoice(lines=(self.line(0),))
        assert limit_page([large, small]) == [large]
        assert limit_page([small, large, small]) == [small]
        assert limit_page([small] * 100) == [small] * 100
        assert limit_page([]) == []

    def test_lists_a_limited_number_of_hours_and_counts_the_omitted_ones(self) -> None:
        world = BillingWorld()
        world.subscribe()
        for rev in range(7):
            world.close_hour(FIRST, rev=rev, now=CLOSED, tokens_in=1)
        InvoiceTable(world.store, TENANT).save(invoice(lines=(self.line(1, item="tokens_in"),), rev=1))
        _, [line] = explain_invoice(world.store, TENANT, "in_1", max_hours=5)
        assert (len(line.entries), line.omitted) == (5, 2)
