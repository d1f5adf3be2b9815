"""The books of billing against each other and against Stripe: every kind of drift, found and put right."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.domain.cost import Period
from services.billing.domain.invoice import Invoice, InvoiceLine
from services.billing.domain.price import BilledMeter
from services.billing.domain.reconciliation import Finding
from services.billing.domain.usage import HOUR, Entry, EntryState, HourUsage
from services.billing.errors import BooksTooLarge, KeyNotAccepted, PaymentsUnavailable, RefusedByStripe
from services.billing.operations.reconciling import compare, compare_some, repair, window_until
from services.billing.operations.usage import flush
from services.billing.table.entries import add_entries, save_entry
from services.billing.table.invoices import save_invoice
from services.billing.table.usage import keep_usage
from shared.deadline import invocation
from shared.meters import Meter
from tests.services.billing.subscriptions import ENDS, subscription
from tests.services.billing.test_outages import Context, fail_with
from tests.services.billing.worlds import CUSTOMER_ID, TENANT, World

FIRST = datetime(2026, 11, 22, 11, tzinfo=UTC)
CLOSED = FIRST + HOUR + timedelta(minutes=10)
LATER = CLOSED + timedelta(hours=4)
IN = "demo-org:tokens_in:2026-11-22T11:0"
AT = "2026-11-22T11:00:00.000Z"


@pytest.fixture
def world() -> World:
    """A paying tenant that has used something, all of it at Stripe."""
    made = World()
    made.subscribe()
    made.use(FIRST, now=CLOSED, tokens_in=120, tokens_out=7)
    made.use(FIRST + HOUR, now=CLOSED + HOUR, tokens_in=5)
    return made


def look(world: World, *, now: datetime = LATER) -> list[Finding]:
    """What is found."""
    return compare(world.store, world.stripe, TENANT, window_until(now), now=now)


def put_right(world: World, *, now: datetime = LATER) -> list[Entry]:
    """Repair, and see that all is right afterwards."""
    made = list(repair(world.store, world.stripe, TENANT, window_until(now), now=now))
    assert look(world, now=now + timedelta(hours=2)) == []
    return made


def named(findings: list[Finding]) -> set[tuple[str, str, str, int, int]]:
    """The findings that are drift."""
    drift = [one.drift for one in findings if not one.pending]
    return {(one.place, one.at, one.meter, one.expected, one.found) for one in drift}


def at_stripe(world: World, hour: datetime = FIRST, meter: BilledMeter = BilledMeter.TOKENS_IN) -> int:
    """What Stripe has of an hour."""
    return world.stripe.sum_of(CUSTOMER_ID, meter, start=hour, end=hour + HOUR)


def entry(world: World, identifier: str = IN) -> Entry:
    """An entry of the sync ledger."""
    [found] = [one for one in world.ledger() if one.identifier == identifier]
    return found


def lose(world: World, identifier: str = IN) -> None:
    """Let the sync ledger forget a meter event."""
    for place in [place for place in world.table.items if place[1].endswith(identifier)]:
        del world.table.items[place]


class TestStripe:
    def test_has_everything(self, world: World) -> None:
        assert look(world) == []

    def test_lacks_something(self, world: World) -> None:
        del world.stripe.counted[IN]
        assert named(look(world)) == {("stripe", AT, "tokens_in", 120, 0)}
        assert [(one.rev, one.quantity, one.state) for one in put_right(world)] == [
            (-1, -120, EntryState.ACCEPTED),
            (-2, 120, EntryState.PENDING),
        ]
        assert at_stripe(world) == 120

    def test_has_too_much(self, world: World) -> None:
        customer_id, sent = world.stripe.counted[IN]
        world.stripe.counted["of-somebody"] = (customer_id, replace(sent, quantity=30))
        assert named(look(world)) == {("stripe", AT, "tokens_in", 120, 150)}
        put_right(world)
        assert at_stripe(world) == 120

    def test_may_not_show_yet_what_was_sent_a_moment_ago(self, world: World) -> None:
        del world.stripe.counted[IN]
        [finding] = look(world, now=CLOSED + timedelta(minutes=5))
        assert finding.pending

    def test_is_not_asked_for_a_tenant_that_never_subscribed(self) -> None:
        manual = World()
        manual.use(FIRST, now=CLOSED, tokens_in=120)
        manual.stripe.tenants.clear()
        assert look(manual) == []

    def test_what_it_lacks_of_a_final_period_is_carried(self, world: World) -> None:
        del world.stripe.counted[IN]
        after = ENDS + timedelta(days=3)
        renewed = subscription(period=Period(ENDS, ENDS + timedelta(days=30)))
        world.subscribe(renewed, now=after)
        [_, sent] = put_right(world, now=after)
        assert (sent.carried, sent.hour, sent.stamped_at >= ENDS) == (True, FIRST, True)

    def test_refused_usage_is_missed_and_sent_anew(self, world: World) -> None:
        def refuse(_: Entry) -> None:
            raise RefusedByStripe("No.")  # noqa: EM101 — as Stripe answers

        world.stripe.before_send = refuse
        world.use(FIRST + 2 * HOUR, now=CLOSED + 2 * HOUR, tokens_in=9)
        world.stripe.before_send = lambda _: None
        assert {one[0] for one in named(look(world))} == {"sync ledger"}
        put_right(world)
        assert at_stripe(world, FIRST + 2 * HOUR) == 9


class TestRejected:
    """Entries that an earlier version rejected because the key was not accepted."""

    def reject(self, world: World, *, also_at_stripe: bool = False) -> None:
        for found in world.ledger():
            rejected = replace(found, state=EntryState.REJECTED, reason="api_key_expired: Expired API Key provided")
            save_entry(world.store, found, rejected, due_at=None)
        if not also_at_stripe:
            world.stripe.counted.clear()

    def test_are_released_and_sent_again_under_their_own_names(self, world: World) -> None:
        self.reject(world)
        made = put_right(world)
        assert {one.rev for one in made} == {0}
        assert at_stripe(world) == 120
        assert {one.state for one in world.ledger()} == {EntryState.ACCEPTED}
        assert flush(world.store, world.stripe, TENANT, now=LATER).all_sent

    def test_days_later_are_not_sent_when_stripe_has_them_after_all(self, world: World) -> None:
        self.reject(world, also_at_stripe=True)
        fail_with(world, AssertionError("Stripe's sum has them"))
        put_right(world, now=LATER + timedelta(days=2))
        assert (at_stripe(world), at_stripe(world, FIRST + HOUR)) == (120, 5)
        assert {one.state for one in world.ledger()} == {EntryState.ACCEPTED}

    def test_that_an_earlier_repair_has_replaced_are_never_sent(self, world: World) -> None:
        self.reject(world)
        correction = replace(entry(world), rev=-1, state=EntryState.ACCEPTED, reason=None)
        add_entries(world.store, TENANT, [correction], due_at=LATER)
        world.stripe.counted["corrected"] = (CUSTOMER_ID, correction)
        put_right(world)
        assert at_stripe(world) == 120
        assert entry(world).state is EntryState.REPLACED
        assert flush(world.store, world.stripe, TENANT, now=LATER).all_sent

    def test_that_stripe_refuses_again_are_replaced_by_a_correction(self, world: World) -> None:
        self.reject(world)

        def refuse_the_first(sent: Entry) -> None:
            if sent.identifier == IN:
                raise RefusedByStripe("No.")  # noqa: EM101 — as Stripe answers

        world.stripe.before_send = refuse_the_first
        put_right(world)
        assert at_stripe(world) == 120
        assert entry(world).state is EntryState.REPLACED
        assert flush(world.store, world.stripe, TENANT, now=LATER).all_sent

    def test_repaired_twice_they_are_sent_once(self, world: World) -> None:
        self.reject(world)
        put_right(world)
        assert put_right(world, now=LATER + timedelta(hours=3)) == []
        assert at_stripe(world) == 120

    def test_of_storage_are_released_together(self, world: World) -> None:
        for number in range(3):
            world.use(FIRST + number * HOUR, rev=1, now=CLOSED + 3 * HOUR, storage_byte_hours=2_400_000)
        self.reject(world)
        put_right(world)
        hours = [at_stripe(world, FIRST + number * HOUR, BilledMeter.STORAGE_MB_HOURS) for number in range(3)]
        assert sum(hours) == 7

    def test_whose_hour_lacks_something_else_too_are_replaced(self, world: World) -> None:
        self.reject(world)
        usage = HourUsage(FIRST, 5, {Meter.TOKENS_IN: 9}, events=1)
        keep_usage(world.store, TENANT, usage)
        later = LATER + timedelta(hours=3)
        put_right(world, now=later)
        assert at_stripe(world) == 129


class TestSyncLedger:
    def test_an_entry_that_is_gone_is_missed_and_nothing_is_charged_twice(self, world: World) -> None:
        lose(world)
        assert named(look(world)) == {
            ("sync ledger", AT, "tokens_in", 120, 0),
            ("stripe", AT, "tokens_in", 0, 120),
        }
        put_right(world)
        assert at_stripe(world) == 120

    def test_an_entry_that_says_something_else_is_put_right(self, world: World) -> None:
        before = entry(world)
        save_entry(world.store, before, replace(before, quantity=100), due_at=None)
        assert named(look(world)) == {
            ("sync ledger", AT, "tokens_in", 120, 100),
            ("stripe", AT, "tokens_in", 100, 120),
        }
        put_right(world)
        assert at_stripe(world) == 120

    def test_an_hour_that_was_never_booked_is_pending_and_then_drift(self, world: World) -> None:
        hour = FIRST + 2 * HOUR
        keep_usage(world.store, TENANT, HourUsage(hour, 0, {Meter.TOKENS_IN: 9}, events=1))
        [young] = look(world, now=hour + HOUR + timedelta(minutes=12))
        assert young.pending
        assert {one[0] for one in named(look(world, now=hour + 4 * HOUR))} == {"sync ledger"}
        put_right(world, now=hour + 4 * HOUR)
        assert at_stripe(world, hour) == 9

    def test_what_is_on_its_way_is_pending_for_a_day(self, world: World) -> None:
        def busy(_: Entry) -> None:
            raise PaymentsUnavailable

        world.stripe.before_send = busy
        world.use(FIRST + 2 * HOUR, now=CLOSED + 2 * HOUR, tokens_in=9)
        assert [one.pending for one in look(world)] == [True]
        assert named(look(world, now=LATER + timedelta(days=2)))
        world.stripe.before_send = lambda _: None
        put_right(world)

    def test_storage_is_compared_as_a_whole(self, world: World) -> None:
        for number in range(3):
            world.use(FIRST + number * HOUR, rev=1, now=CLOSED + 3 * HOUR, storage_byte_hours=2_400_000)
        assert look(world) == []
        lose(world, "demo-org:storage_mb_hours:2026-11-22T12:1")
        assert ("sync ledger", "storage_mb_hours") in {(one[0], one[2]) for one in named(look(world))}
        put_right(world)
        hours = [at_stripe(world, FIRST + number * HOUR, BilledMeter.STORAGE_MB_HOURS) for number in range(3)]
        assert sum(hours) == 7

    def test_repaired_twice_it_is_repaired_once(self, world: World) -> None:
        del world.stripe.counted[IN]
        assert put_right(world)
        assert put_right(world, now=LATER + timedelta(hours=3)) == []


class TestInvoices:
    def line(self, quantity: int) -> InvoiceLine:
        period = Period(FIRST - timedelta(minutes=30), ENDS)
        return InvoiceLine("il_1", "tokens_in", "", quantity, 0, period, proration=False)

    def save(self, world: World, quantity: int) -> None:
        line = self.line(quantity)
        save_invoice(
            world.store,
            TENANT,
            Invoice("in_1", "A-1", "paid", "usd", 0, 1, line.period, ENDS, None, (line,), rev=1),
        )

    def test_one_that_charges_for_what_was_sent_is_right(self, world: World) -> None:
        self.save(world, 125)
        assert look(world) == []

    def test_one_that_charges_for_something_else_is_named(self, world: World) -> None:
        self.save(world, 126)
        [finding] = look(world)
        assert (finding.drift.place, finding.drift.subject, finding.drift.excess) == ("invoice", "in_1", 1)


class TestAnyMix:
    @settings(max_examples=60)
    @given(
        st.lists(
            st.sampled_from(["lost at stripe", "lost here", "stranger", "changed here", "never booked"]), max_size=4
        ),
        st.integers(-50, 200),
    )
    def test_of_drift_is_put_right(self, kinds: list[str], amount: int) -> None:
        world = World()
        world.subscribe()
        for number in range(4):
            world.use(FIRST + number * HOUR, now=CLOSED + number * HOUR, tokens_in=100 + number)
        for number, kind in enumerate(kinds):
            hour = FIRST + number * HOUR
            self._break(world, kind, f"demo-org:tokens_in:{hour:%Y-%m-%dT%H}:0", amount)
        after = LATER + timedelta(hours=8)
        put_right(world, now=after)
        total = sum(100 + number for number in range(4)) + 9 * kinds.count("never booked")
        assert world.stripe.sum_of(CUSTOMER_ID, BilledMeter.TOKENS_IN, start=FIRST, end=after + HOUR) == total

    def _break(self, world: World, kind: str, identifier: str, amount: int) -> None:
        here = entry(world, identifier)
        breaks: dict[str, Callable[[], object]] = {
            "lost at stripe": lambda: world.stripe.counted.pop(identifier),
            "lost here": lambda: lose(world, identifier),
            "stranger": lambda: world.stripe.counted.update(
                {f"x:{identifier}": (CUSTOMER_ID, replace(here, quantity=amount))}
            ),
            "changed here": lambda: save_entry(world.store, here, replace(here, quantity=amount), due_at=None),
            "never booked": lambda: keep_usage(
                world.store, TENANT, HourUsage(here.hour, 7, {Meter.TOKENS_IN: 9}, events=1)
            ),
        }
        breaks[kind]()


class TestCompareSome:
    def test_goes_through_all_tenants_page_by_page(self, world: World) -> None:
        del world.stripe.counted[IN]
        page = compare_some(world.store, world.stripe, limit=10, after=None, now=LATER)
        assert ({*page.findings}, page.failed, page.place) == ({TENANT}, {}, None)
        assert named(page.findings[TENANT])

    @pytest.mark.parametrize("error", [RefusedByStripe("No such customer"), KeyNotAccepted(), ValueError("poison")])
    def test_goes_on_past_a_tenant_that_cannot_be_compared(self, world: World, error: Exception) -> None:
        world.add("acme", "beta")
        for tenant in ("acme", "beta"):
            world.use_of(tenant, FIRST, now=CLOSED, tokens_in=1)
        world.stripe.failing["cus_beta"] = error
        page = compare_some(world.store, world.stripe, limit=10, after=None, now=LATER)
        assert (set(page.findings), set(page.failed)) == ({"acme", TENANT}, {"beta"})
        assert page.failed["beta"] in {str(error), type(error).__name__}

    def test_ends_the_page_when_time_is_short_and_goes_on_from_there(self, world: World) -> None:
        world.add("acme", "beta")
        seen: list[str] = []
        place: str | None = None
        for _ in range(3):
            with invocation(Context(left_s=5)):
                page = compare_some(world.store, world.stripe, limit=10, after=place, now=LATER)
            seen += page.findings
            place = page.place
        assert (seen, place) == (["acme", "beta", TENANT], None)

    def test_names_the_day_when_there_is_no_time_for_its_hours(self, world: World) -> None:
        del world.stripe.counted[IN]
        with invocation(Context(left_s=5)):
            [finding] = look(world)
        assert (finding.drift.place, finding.drift.at) == ("stripe day", "2026-11-22T00:00:00.000Z")
        assert (finding.drift.excess, finding.repairable) == (-120, False)

    def test_refuses_books_that_do_not_fit_into_memory(self, world: World) -> None:
        page = compare_some(world.store, world.stripe, limit=10, after=None, now=LATER, max_rows=2)
        assert page.failed == {TENANT: str(BooksTooLarge())}
