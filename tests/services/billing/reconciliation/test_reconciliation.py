"""Comparison and repair of billing's records and of Stripe's, for every kind of drift."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.catalog.domain import BilledMeter
from services.billing.customers.domain.period import BillingPeriod
from services.billing.errors import ApiKeyRejected, PaymentsUnavailable, RejectedByStripe, TooManyRecords
from services.billing.invoices.domain import Invoice, InvoiceLine
from services.billing.invoices.table import InvoiceTable
from services.billing.reconciliation.domain import Discrepancy
from services.billing.reconciliation.operations import compare, compare_page, repair, window_until
from services.billing.usage_sync.domain import HOUR, EntryState, HourUsage, SyncEntry
from services.billing.usage_sync.operations.booking import flush
from services.billing.usage_sync.table.entries import SyncLedger
from services.billing.usage_sync.table.usage import UsageTable
from shared.deadline import invocation
from shared.meters import Meter
from tests.services.billing.stripe_subscriptions import ENDS, subscription
from tests.services.billing.usage_sync.test_outages import Context, fail_with
from tests.services.billing.world import CUSTOMER_ID, TENANT, BillingWorld

FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)
CLOSED = FIRST + HOUR + timedelta(minutes=10)
LATER = CLOSED + timedelta(hours=4)
IN = "demo-org:tokens_in:2026-11-22T11:0"
AT = "2026-11-22T11:00:00.000Z"


@pytest.fixture
def world() -> BillingWorld:
    """Return a subscribed tenant whose usage is all at Stripe."""
    world = BillingWorld()
    world.subscribe()
    world.close_hour(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
    world.close_hour(FIRST + HOUR, now=CLOSED + HOUR, tokens_in=5)
    return world


def discrepancies_of(world: BillingWorld, *, now: datetime = LATER) -> list[Discrepancy]:
    """Return the discrepancies."""
    return compare(world.store, world.stripe, TENANT, window_until(now), now=now)


def repair_all(world: BillingWorld, *, now: datetime = LATER) -> list[SyncEntry]:
    """Repair, and check that no discrepancy is left."""
    entries = list(repair(world.store, world.stripe, TENANT, window_until(now), now=now))
    assert discrepancies_of(world, now=now + timedelta(hours=2)) == []
    return entries


def named(findings: list[Discrepancy]) -> set[tuple[str, str, str, int, int]]:
    """Return the discrepancies that are not pending."""
    drift = [one.drift for one in findings if not one.pending]
    return {(one.place, one.at, one.meter, one.expected, one.found) for one in drift}


def at_stripe(world: BillingWorld, hour: datetime = FIRST, meter: BilledMeter = BilledMeter.TOKENS_IN) -> int:
    """Return Stripe's sum of an hour."""
    return world.stripe.sum_of(CUSTOMER_ID, meter, start=hour, end=hour + HOUR)


def entry(world: BillingWorld, identifier: str = IN) -> SyncEntry:
    """Return an entry of the sync ledger."""
    [found] = [one for one in world.ledger() if one.identifier == identifier]
    return found


def lose(world: BillingWorld, identifier: str = IN) -> None:
    """Remove a meter event from the sync ledger."""
    for place in [place for place in world.table.items if place[1].endswith(identifier)]:
        del world.table.items[place]


class TestStripe:
    def test_finds_nothing_if_all_usage_arrived(self, world: BillingWorld) -> None:
        assert discrepancies_of(world) == []

    def test_finds_usage_that_is_missing_at_stripe(self, world: BillingWorld) -> None:
        del world.stripe.meter_events[IN]
        assert named(discrepancies_of(world)) == {("stripe", AT, "tokens_in", 120, 0)}
        assert [(one.rev, one.quantity, one.state) for one in repair_all(world)] == [
            (-1, -120, EntryState.ACCEPTED),
            (-2, 120, EntryState.PENDING),
        ]
        assert at_stripe(world) == 120

    def test_finds_excess_usage_at_stripe(self, world: BillingWorld) -> None:
        customer_id, sent = world.stripe.meter_events[IN]
        world.stripe.meter_events["of-another-tenant"] = (customer_id, replace(sent, quantity=30))
        assert named(discrepancies_of(world)) == {("stripe", AT, "tokens_in", 120, 150)}
        repair_all(world)
        assert at_stripe(world) == 120

    def test_reports_recently_sent_usage_as_pending(self, world: BillingWorld) -> None:
        del world.stripe.meter_events[IN]
        [finding] = discrepancies_of(world, now=CLOSED + timedelta(minutes=5))
        assert finding.pending

    def test_is_not_called_for_a_tenant_that_never_subscribed(self) -> None:
        manual = BillingWorld()
        manual.close_hour(FIRST, now=CLOSED, tokens_in=120)
        manual.stripe.tenants.clear()
        assert discrepancies_of(manual) == []

    def test_carries_missing_usage_of_a_final_period(self, world: BillingWorld) -> None:
        del world.stripe.meter_events[IN]
        after = ENDS + timedelta(days=3)
        renewed = subscription(period=BillingPeriod(ENDS, ENDS + timedelta(days=30)))
        world.subscribe(renewed, now=after)
        [_, sent] = repair_all(world, now=after)
        assert (sent.carried, sent.hour, sent.timestamp >= ENDS) == (True, FIRST, True)

    def test_sends_rejected_usage_again(self, world: BillingWorld) -> None:
        def refuse(_: SyncEntry) -> None:
            raise RejectedByStripe("No.")  # noqa: EM101 — as Stripe answers

        world.stripe.before_send = refuse
        world.close_hour(FIRST + 2 * HOUR, now=CLOSED + 2 * HOUR, tokens_in=9)
        world.stripe.before_send = lambda _: None
        assert {one[0] for one in named(discrepancies_of(world))} == {"sync ledger"}
        repair_all(world)
        assert at_stripe(world, FIRST + 2 * HOUR) == 9


class TestRejected:
    """Entries that an earlier version rejected because the key was not accepted."""

    def reject(self, world: BillingWorld, *, also_at_stripe: bool = False) -> None:
        for found in world.ledger():
            rejected = replace(found, state=EntryState.REJECTED, reason="api_key_expired: Expired API Key provided")
            SyncLedger(world.store, TENANT).save(found, rejected, due_at=None)
        if not also_at_stripe:
            world.stripe.meter_events.clear()

    def test_are_released_and_sent_again_with_their_own_identifiers(self, world: BillingWorld) -> None:
        self.reject(world)
        entries = repair_all(world)
        assert {one.rev for one in entries} == {0}
        assert at_stripe(world) == 120
        assert {one.state for one in world.ledger()} == {EntryState.ACCEPTED}
        assert flush(world.store, world.stripe, TENANT, now=LATER).all_sent

    def test_are_not_sent_days_later_if_stripe_has_them(self, world: BillingWorld) -> None:
        self.reject(world, also_at_stripe=True)
        fail_with(world, AssertionError("Stripe's sum has them"))
        repair_all(world, now=LATER + timedelta(days=2))
        assert (at_stripe(world), at_stripe(world, FIRST + HOUR)) == (120, 5)
        assert {one.state for one in world.ledger()} == {EntryState.ACCEPTED}

    def test_are_never_sent_after_an_earlier_repair_replaced_them(self, world: BillingWorld) -> None:
        self.reject(world)
        correction = replace(entry(world), rev=-1, state=EntryState.ACCEPTED, reason=None)
        SyncLedger(world.store, TENANT).create([correction], due_at=LATER)
        world.stripe.meter_events["corrected"] = (CUSTOMER_ID, correction)
        repair_all(world)
        assert at_stripe(world) == 120
        assert entry(world).state is EntryState.REPLACED
        assert flush(world.store, world.stripe, TENANT, now=LATER).all_sent

    def test_are_replaced_by_a_correction_if_rejected_again(self, world: BillingWorld) -> None:
        self.reject(world)

        def refuse_the_first(sent: SyncEntry) -> None:
            if sent.identifier == IN:
                raise RejectedByStripe("No.")  # noqa: EM101 — as Stripe answers

        world.stripe.before_send = refuse_the_first
        repair_all(world)
        assert at_stripe(world) == 120
        assert entry(world).state is EntryState.REPLACED
        assert flush(world.store, world.stripe, TENANT, now=LATER).all_sent

    def test_are_sent_once_by_two_repairs(self, world: BillingWorld) -> None:
        self.reject(world)
        repair_all(world)
        assert repair_all(world, now=LATER + timedelta(hours=3)) == []
        assert at_stripe(world) == 120

    def test_for_storage_are_released_together(self, world: BillingWorld) -> None:
        for number in range(3):
            world.close_hour(FIRST + number * HOUR, rev=1, now=CLOSED + 3 * HOUR, storage_byte_hours=2_400_000)
        self.reject(world)
        repair_all(world)
        hours = [at_stripe(world, FIRST + number * HOUR, BilledMeter.STORAGE_MB_HOURS) for number in range(3)]
        assert sum(hours) == 7

    def test_are_replaced_if_their_hour_lacks_more_usage(self, world: BillingWorld) -> None:
        self.reject(world)
        usage = HourUsage(FIRST, 5, {Meter.TOKENS_IN: 9}, events=1)
        UsageTable(world.store, TENANT).create(usage)
        later = LATER + timedelta(hours=3)
        repair_all(world, now=later)
        assert at_stripe(world) == 129


class TestSyncLedger:
    def test_restores_a_lost_entry_without_charging_twice(self, world: BillingWorld) -> None:
        lose(world)
        assert named(discrepancies_of(world)) == {
            ("sync ledger", AT, "tokens_in", 120, 0),
            ("stripe", AT, "tokens_in", 0, 120),
        }
        repair_all(world)
        assert at_stripe(world) == 120

    def test_corrects_an_entry_with_a_wrong_quantity(self, world: BillingWorld) -> None:
        before = entry(world)
        SyncLedger(world.store, TENANT).save(before, replace(before, quantity=100), due_at=None)
        assert named(discrepancies_of(world)) == {
            ("sync ledger", AT, "tokens_in", 120, 100),
            ("stripe", AT, "tokens_in", 100, 120),
        }
        repair_all(world)
        assert at_stripe(world) == 120

    def test_reports_an_unbooked_hour_as_pending_then_as_drift(self, world: BillingWorld) -> None:
        hour = FIRST + 2 * HOUR
        UsageTable(world.store, TENANT).create(HourUsage(hour, 0, {Meter.TOKENS_IN: 9}, events=1))
        [young] = discrepancies_of(world, now=hour + HOUR + timedelta(minutes=12))
        assert young.pending
        assert {one[0] for one in named(discrepancies_of(world, now=hour + 4 * HOUR))} == {"sync ledger"}
        repair_all(world, now=hour + 4 * HOUR)
        assert at_stripe(world, hour) == 9

    def test_reports_an_open_entry_as_pending_for_a_day(self, world: BillingWorld) -> None:
        def busy(_: SyncEntry) -> None:
            raise PaymentsUnavailable

        world.stripe.before_send = busy
        world.close_hour(FIRST + 2 * HOUR, now=CLOSED + 2 * HOUR, tokens_in=9)
        assert [one.pending for one in discrepancies_of(world)] == [True]
        assert named(discrepancies_of(world, now=LATER + timedelta(days=2)))
        world.stripe.before_send = lambda _: None
        repair_all(world)

    def test_compares_storage_over_all_hours(self, world: BillingWorld) -> None:
        for number in range(3):
            world.close_hour(FIRST + number * HOUR, rev=1, now=CLOSED + 3 * HOUR, storage_byte_hours=2_400_000)
        assert discrepancies_of(world) == []
        lose(world, "demo-org:storage_mb_hours:2026-11-22T12:1")
        assert ("sync ledger", "storage_mb_hours") in {(one[0], one[2]) for one in named(discrepancies_of(world))}
        repair_all(world)
        hours = [at_stripe(world, FIRST + number * HOUR, BilledMeter.STORAGE_MB_HOURS) for number in range(3)]
        assert sum(hours) == 7

    def test_a_second_repair_changes_nothing(self, world: BillingWorld) -> None:
        del world.stripe.meter_events[IN]
        assert repair_all(world)
        assert repair_all(world, now=LATER + timedelta(hours=3)) == []


class TestInvoices:
    def line(self, quantity: int) -> InvoiceLine:
        period = BillingPeriod(FIRST - timedelta(minutes=30), ENDS)
        return InvoiceLine("il_1", "tokens_in", "", quantity, 0, period, proration=False)

    def save(self, world: BillingWorld, quantity: int) -> None:
        line = self.line(quantity)
        InvoiceTable(world.store, TENANT).save(
            Invoice("in_1", "A-1", "paid", "usd", 0, 1, line.period, ENDS, None, (line,), rev=1),
        )

    def test_accepts_a_line_that_matches_the_sent_usage(self, world: BillingWorld) -> None:
        self.save(world, 125)
        assert discrepancies_of(world) == []

    def test_reports_a_line_that_differs_from_the_sent_usage(self, world: BillingWorld) -> None:
        self.save(world, 126)
        [finding] = discrepancies_of(world)
        assert (finding.drift.place, finding.drift.subject, finding.drift.excess) == ("invoice", "in_1", 1)


class TestAnyMix:
    @settings(max_examples=60)
    @given(
        st.lists(
            st.sampled_from(["lost at stripe", "lost here", "stranger", "changed here", "never booked"]), max_size=4
        ),
        st.integers(-50, 200),
    )
    def test_of_drift_is_repaired(self, kinds: list[str], amount: int) -> None:
        world = BillingWorld()
        world.subscribe()
        for number in range(4):
            world.close_hour(FIRST + number * HOUR, now=CLOSED + number * HOUR, tokens_in=100 + number)
        for number, kind in enumerate(kinds):
            hour = FIRST + number * HOUR
            self._break(world, kind, f"demo-org:tokens_in:{hour:%Y-%m-%dT%H}:0", amount)
        after = LATER + timedelta(hours=8)
        repair_all(world, now=after)
        total = sum(100 + number for number in range(4)) + 9 * kinds.count("never booked")
        assert world.stripe.sum_of(CUSTOMER_ID, BilledMeter.TOKENS_IN, start=FIRST, end=after + HOUR) == total

    def _break(self, world: BillingWorld, kind: str, identifier: str, amount: int) -> None:
        here = entry(world, identifier)
        breaks: dict[str, Callable[[], object]] = {
            "lost at stripe": lambda: world.stripe.meter_events.pop(identifier),
            "lost here": lambda: lose(world, identifier),
            "stranger": lambda: world.stripe.meter_events.update(
                {f"x:{identifier}": (CUSTOMER_ID, replace(here, quantity=amount))}
            ),
            "changed here": lambda: SyncLedger(world.store, TENANT).save(
                here, replace(here, quantity=amount), due_at=None
            ),
            "never booked": lambda: UsageTable(world.store, TENANT).create(
                HourUsage(here.hour, 7, {Meter.TOKENS_IN: 9}, events=1)
            ),
        }
        breaks[kind]()


class TestComparePage:
    def test_goes_through_all_tenants_page_by_page(self, world: BillingWorld) -> None:
        del world.stripe.meter_events[IN]
        page = compare_page(world.store, world.stripe, limit=10, after=None, now=LATER)
        assert ({*page.discrepancies}, page.failed, page.next_cursor) == ({TENANT}, {}, None)
        assert named(page.discrepancies[TENANT])

    @pytest.mark.parametrize("error", [RejectedByStripe("No such customer"), ApiKeyRejected(), ValueError("poison")])
    def test_continues_after_a_tenant_that_cannot_be_compared(self, world: BillingWorld, error: Exception) -> None:
        world.add_tenants("acme", "beta")
        for tenant in ("acme", "beta"):
            world.close_hour_of(tenant, FIRST, now=CLOSED, tokens_in=1)
        world.stripe.failing["cus_beta"] = error
        page = compare_page(world.store, world.stripe, limit=10, after=None, now=LATER)
        assert (set(page.discrepancies), set(page.failed)) == ({"acme", TENANT}, {"beta"})
        assert page.failed["beta"] in {str(error), type(error).__name__}

    def test_ends_the_page_if_time_runs_out_and_continues_there(self, world: BillingWorld) -> None:
        world.add_tenants("acme", "beta")
        seen: list[str] = []
        cursor: str | None = None
        for _ in range(3):
            with invocation(Context(left_s=5)):
                page = compare_page(world.store, world.stripe, limit=10, after=cursor, now=LATER)
            seen += page.discrepancies
            cursor = page.next_cursor
        assert (seen, cursor) == (["acme", "beta", TENANT], None)

    def test_reports_the_day_if_time_runs_out_for_its_hours(self, world: BillingWorld) -> None:
        del world.stripe.meter_events[IN]
        with invocation(Context(left_s=5)):
            [finding] = discrepancies_of(world)
        assert (finding.drift.place, finding.drift.at) == ("stripe day", "2026-11-22T00:00:00.000Z")
        assert (finding.drift.excess, finding.repairable) == (-120, False)

    def test_refuses_records_that_do_not_fit_into_memory(self, world: BillingWorld) -> None:
        page = compare_page(world.store, world.stripe, limit=10, after=None, now=LATER, max_rows=2)
        assert page.failed == {TENANT: str(TooManyRecords())}
