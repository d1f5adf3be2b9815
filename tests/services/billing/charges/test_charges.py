"""Bills, forecasts and prorations."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.catalog.domain import BilledMeter
from services.billing.charges.domain import BillLine, calculate_bill, forecast_bill
from services.billing.customers.domain.period import BillingPeriod, month_of
from services.billing.subscriptions.domain import Proration, proration
from shared.plans import PRICES, Plan
from tests.services.billing.stripe_subscriptions import ENDS, STARTED

PERIOD = BillingPeriod(STARTED, ENDS)
USED = st.dictionaries(st.sampled_from(BilledMeter), st.integers(0, 10**13))
PLANS = st.sampled_from(Plan)
SECONDS = st.integers(0, PERIOD.seconds)


class TestBill:
    def test_lists_every_line_of_pro(self) -> None:
        used = {
            BilledMeter.TOKENS_IN: 1_234_567,
            BilledMeter.TOKENS_OUT: 20_000,
            BilledMeter.STORAGE_MB_HOURS: 730_000,
            BilledMeter.EGRESS_BYTES: 3_000_000_000,
        }
        assert calculate_bill(Plan.PRO, used).lines == (
            BillLine("base", 1, "2900", 29_000_000_000, 2900),
            BillLine("tokens_in", 1_234_567, "0.0001", 1_234_567_000, 123),
            BillLine("tokens_out", 20_000, "0.0002", 40_000_000, 4),
            BillLine("storage_mb_hours", 730_000, "0.00001369863", 99_999_999, 10),
            BillLine("egress_bytes", 3_000_000_000, "0.000000005", 150_000_000, 15),
        )

    def test_is_zero_for_free(self) -> None:
        assert calculate_bill(Plan.FREE, {BilledMeter.TOKENS_IN: 5}).lines == (BillLine("base", 1, "0", 0, 0),)

    @given(PLANS, USED)
    def test_totals_are_the_sums_of_the_lines(self, plan: Plan, used: dict[BilledMeter, int]) -> None:
        found = calculate_bill(plan, used)
        assert found.amount_cents == sum(line.amount_cents for line in found.lines)
        assert found.charge_nano_usd == sum(line.charge_nano_usd for line in found.lines)
        assert abs(found.amount_cents * 10**7 - found.charge_nano_usd) <= len(found.lines) * (5 * 10**6 + 1)


class TestForecast:
    @given(PLANS, USED)
    def test_equals_the_bill_at_the_end(self, plan: Plan, used: dict[BilledMeter, int]) -> None:
        assert forecast_bill(plan, used, period=PERIOD, counted_until=PERIOD.end) == calculate_bill(plan, used)

    @given(PLANS, USED)
    def test_equals_the_bill_before_any_time_has_passed(self, plan: Plan, used: dict[BilledMeter, int]) -> None:
        assert forecast_bill(plan, used, period=PERIOD, counted_until=PERIOD.start) == calculate_bill(plan, used)

    def test_doubles_the_usage_halfway_but_not_the_base(self) -> None:
        half = PERIOD.start + (PERIOD.end - PERIOD.start) / 2
        found = forecast_bill(Plan.PRO, {BilledMeter.TOKENS_IN: 7_000_000}, period=PERIOD, counted_until=half)
        assert [(line.item, line.quantity) for line in found.lines[:2]] == [("base", 1), ("tokens_in", 14_000_000)]

    @given(USED, SECONDS)
    def test_is_never_below_the_current_usage(self, used: dict[BilledMeter, int], seconds: int) -> None:
        until = PERIOD.start + timedelta(seconds=seconds)
        found = forecast_bill(Plan.PRO, used, period=PERIOD, counted_until=until)
        assert found.amount_cents >= calculate_bill(Plan.PRO, used).amount_cents


class TestProration:
    def test_halfway_credits_half_and_charges_half(self) -> None:
        half = PERIOD.start + (PERIOD.end - PERIOD.start) / 2
        assert proration(Plan.PRO, Plan.ENTERPRISE, period=PERIOD, at=half) == Proration(1450, 14950)

    def test_is_full_at_the_start_and_zero_at_the_end(self) -> None:
        assert proration(Plan.PRO, Plan.ENTERPRISE, period=PERIOD, at=PERIOD.start) == Proration(2900, 29900)
        assert proration(Plan.PRO, Plan.ENTERPRISE, period=PERIOD, at=PERIOD.end) == Proration(0, 0)

    @given(SECONDS)
    def test_is_exact_to_the_second(self, seconds: int) -> None:
        found = proration(Plan.PRO, Plan.ENTERPRISE, period=PERIOD, at=PERIOD.start + timedelta(seconds=seconds))
        left = PERIOD.seconds - seconds
        for amount, plan in ((found.credit_cents, Plan.PRO), (found.charge_cents, Plan.ENTERPRISE)):
            assert abs(2 * (amount * PERIOD.seconds - PRICES[plan].base_cents_per_month * left)) <= PERIOD.seconds

    @given(SECONDS, st.integers(0, 3_600))
    def test_never_increases_over_time(self, seconds: int, later: int) -> None:
        first = proration(Plan.FREE, Plan.PRO, period=PERIOD, at=PERIOD.start + timedelta(seconds=seconds))
        second = proration(Plan.FREE, Plan.PRO, period=PERIOD, at=PERIOD.start + timedelta(seconds=seconds + later))
        assert second.charge_cents <= first.charge_cents


class TestMonth:
    @pytest.mark.parametrize(
        ("moment", "month", "days"),
        [((2026, 11, 22), 11, 30), ((2026, 12, 31), 12, 31), ((2028, 2, 29), 2, 29), ((2026, 1, 31), 1, 31)],
    )
    def test_is_the_calendar_month(self, moment: tuple[int, int, int], month: int, days: int) -> None:
        found = month_of(datetime(*moment, 23, 59, tzinfo=UTC))
        assert (found.start.month, found.start.day, found.end.day) == (month, 1, 1)
        assert found.end - found.start == timedelta(days=days)
