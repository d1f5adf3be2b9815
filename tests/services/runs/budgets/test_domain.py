"""Budgets and grants."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.budgets.domain import (
    MIN_OUTPUT_TOKENS,
    Budget,
    Grant,
    PlanLimits,
    Reservation,
    ReservationRequest,
    Spent,
    full_grant,
    month_of,
    next_month,
    partial_grant,
    spent_by,
    spent_outside,
)
from services.runs.errors import RequestsUsedUp, TokensUsedUp, TooManyOpenCalls
from services.runs.execution.domain.cost import affordable_tokens
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import CallEnd, CallId, Outcome, RunError, Status
from shared.meters import Meter
from tests.services.runs.examples import CALL, END, NOW, OUTPUT, RUN_ID, leased, running, submitted

FIRST = CallId(RUN_ID, 1, 1)
TERMS = PlanLimits(seq=1, requests=10, tokens=100_000, overage=False)
RESERVATION_REQUESTS = st.builds(ReservationRequest, st.integers(1, 5_000), st.integers(1, 20_000), st.booleans())


def _partial_grant(
    left: int,
    reservation_request: ReservationRequest,
    *,
    tries: int = 1,
    call: CallId = FIRST,
    limits: PlanLimits = TERMS,
) -> Grant:
    budget = Budget(limits, requests_left=1, tokens_left=left)
    return partial_grant(budget, reservation_request, call=call, max_open=10, tries=tries, now=NOW)


class TestPartialGrant:
    @given(RESERVATION_REQUESTS, st.integers(0, 200_000), st.integers(1, 20))
    def test_fits_the_remainder_and_leaves_output_tokens(
        self, reservation_request: ReservationRequest, left: int, tries: int
    ) -> None:
        if left < reservation_request.min_tokens:
            with pytest.raises(TokensUsedUp):
                _partial_grant(left, reservation_request, tries=tries)
            return
        grant = _partial_grant(left, reservation_request, tries=tries)
        assert reservation_request.min_tokens <= grant.tokens <= min(left, reservation_request.tokens)
        assert grant.tokens <= grant.min_left_tokens <= max(left, grant.tokens)

    @given(RESERVATION_REQUESTS, st.integers(0, 200_000), st.integers(1, 20))
    def test_takes_at_most_an_eighth_unless_the_cap_is_explicit(
        self, reservation_request: ReservationRequest, left: int, tries: int
    ) -> None:
        if reservation_request.has_explicit_cap or left < reservation_request.min_tokens:
            return
        grant = _partial_grant(left, reservation_request, tries=tries)
        assert grant.tokens <= max(left // 8, reservation_request.input_tokens + 256)
        # The condition of the write requires eight times the tokens.
        assert grant.tokens <= reservation_request.input_tokens + 256 or grant.min_left_tokens == 8 * grant.tokens

    def test_takes_the_explicit_cap_or_the_remainder(self) -> None:
        reservation_request = ReservationRequest(1_000, 50_000, has_explicit_cap=True)
        assert _partial_grant(60_000, reservation_request).tokens == 51_000
        assert _partial_grant(20_000, reservation_request).tokens == 20_000

    def test_shrinks_with_each_failed_try(self) -> None:
        reservation_request = ReservationRequest(100, 100_000, has_explicit_cap=False)
        assert [_partial_grant(80_000, reservation_request, tries=tries).tokens for tries in (1, 2, 3)] == [
            10_000,
            5_000,
            3_333,
        ]

    def test_refuses_when_no_request_is_left(self) -> None:
        budget = Budget(TERMS, requests_left=0, tokens_left=90_000)
        with pytest.raises(RequestsUsedUp) as refused:
            partial_grant(
                budget, ReservationRequest(1, 1, has_explicit_cap=True), call=FIRST, max_open=10, tries=1, now=NOW
            )
        assert refused.value.resets_at == datetime(2026, 12, 1, tzinfo=UTC)

    def test_needs_no_request_for_a_later_call(self) -> None:
        budget = Budget(TERMS, requests_left=-3, tokens_left=90_000)
        later = CallId(RUN_ID, 1, 2)
        assert (
            partial_grant(
                budget, ReservationRequest(1, 9, has_explicit_cap=True), call=later, max_open=10, tries=1, now=NOW
            ).tokens
            == 10
        )

    @pytest.mark.parametrize("limits", [PlanLimits(1, 10, -1, overage=False), PlanLimits(1, 10, 5, overage=True)])
    def test_is_a_full_grant_without_a_limit(self, limits: PlanLimits) -> None:
        reservation_request = ReservationRequest(100, 4_096, has_explicit_cap=False)
        assert _partial_grant(-1_000_000, reservation_request, limits=limits) == full_grant(reservation_request)

    def test_refuses_when_too_many_calls_are_open(self) -> None:
        held = {str(number): Reservation(CallId(RUN_ID, 1, number), 5, 0) for number in range(10)}
        budget = Budget(TERMS, requests_left=1, tokens_left=90_000, open=held)
        with pytest.raises(TooManyOpenCalls):
            partial_grant(
                budget, ReservationRequest(1, 1, has_explicit_cap=True), call=FIRST, max_open=10, tries=1, now=NOW
            )

    def test_refuses_caps_below_the_smallest_of_any_provider(self) -> None:
        with pytest.raises(TokensUsedUp):
            _partial_grant(100 + MIN_OUTPUT_TOKENS - 1, ReservationRequest(100, 4_096, has_explicit_cap=False))
        assert _partial_grant(103, ReservationRequest(100, 3, has_explicit_cap=True)).tokens == 103


class TestFullGrant:
    def test_of_a_default_cap_requires_eight_times_its_tokens(self) -> None:
        assert full_grant(ReservationRequest(904, 4_096, has_explicit_cap=False)) == Grant(5_000, 40_000)
        assert full_grant(ReservationRequest(904, 4_096, has_explicit_cap=True)) == Grant(5_000, 5_000)


class TestWithLimits:
    LIMITS = st.integers(-1, 1_000_000)

    @given(LIMITS, LIMITS, st.integers(0, 500_000))
    def test_keeps_the_usage_so_far_deducted(self, before: int, after: int, used: int) -> None:
        first, then = PlanLimits(1, 5, before, overage=False), PlanLimits(2, 7, after, overage=False)
        budget = Budget.fresh(first)
        spent = Budget(first, budget.requests_left - 2, budget.tokens_left - used)
        changed = spent.under(then)
        assert changed.limits == then
        assert Budget.fresh(then).tokens_left - changed.tokens_left == used
        assert changed.requests_left == 5
        assert changed.under(first) == spent


class TestSpentBy:
    def test_charges_the_recorded_usage_of_an_ended_call(self) -> None:
        run, _ = lifecycle.complete(running(), END, OUTPUT, now=NOW)
        assert spent_by(run, FIRST) == Spent(requests=1, tokens=8)

    def test_charges_the_bound_of_a_lost_call(self) -> None:
        run, _ = lifecycle.recover(running(), now=NOW)
        assert spent_by(run, FIRST) == Spent(requests=1, tokens=CALL.bound_tokens)

    def test_charges_the_bound_of_a_truncated_call(self) -> None:
        end = CallEnd(Outcome.FAILED, {Meter.TOKENS_IN: 40}, usage_known=False)
        run, _ = lifecycle.end_call(running(), end, now=NOW)
        assert spent_by(run, FIRST) == Spent(requests=1, tokens=CALL.bound_tokens)

    def test_returns_none_for_a_planned_or_active_call(self) -> None:
        assert spent_by(submitted()[0], FIRST) is None
        assert spent_by(running(), FIRST) is None

    def test_returns_none_while_the_worker_may_still_record_the_call(self) -> None:
        run, _ = lifecycle.end_call(running(), END, now=NOW)
        assert spent_by(run, CallId(RUN_ID, 1, 2)) is None

    def test_charges_nothing_for_an_unsent_call_of_an_ended_attempt(self) -> None:
        run, _ = lifecycle.recover(running(), now=NOW)
        assert spent_by(run, CallId(RUN_ID, 1, 2)) == Spent()
        assert spent_by(leased(run, call=None), CallId(RUN_ID, 1, 2)) == Spent()

    def test_charges_nothing_for_an_unsent_call_of_an_ended_run(self) -> None:
        cancelled, _ = lifecycle.cancel(submitted()[0], now=NOW)
        assert spent_by(cancelled, FIRST) == Spent()
        failed, _ = lifecycle.fail(running(), None, RunError("LimitReached", "No."), now=NOW)
        assert (failed.status, spent_by(failed, FIRST)) == (Status.FAILED, Spent())

    def test_charges_nothing_for_a_call_without_a_run(self) -> None:
        assert spent_by(None, FIRST) == Spent()

    def test_charges_requests_and_tokens_of_ingested_usage(self) -> None:
        meters = {Meter.REQUESTS: 2, Meter.TOKENS_IN: 30, Meter.TOKENS_OUT: 4, Meter.COMPUTE_MS: 99}
        assert spent_outside(meters) == Spent(2, 34)


class TestMonth:
    def test_is_in_utc(self) -> None:
        just_after_midnight = datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
        assert month_of(just_after_midnight) == "2026-11"
        assert next_month(just_after_midnight) == datetime(2026, 12, 1, tzinfo=UTC)

    @given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 — hypothesis adds it
    def test_ends_where_the_next_month_begins(self, now: datetime) -> None:
        then = next_month(now)
        assert now < then
        assert month_of(then - timedelta(microseconds=1)) == month_of(now)
        assert month_of(then) != month_of(now)


class TestAffordableTokens:
    @given(st.integers(1, 20_000), st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 50_000))
    def test_returns_the_largest_affordable_cap(self, wanted: int, left: int, base: int, per_token: int) -> None:
        def cost(tokens: int) -> int:
            return base + per_token * tokens

        longest = affordable_tokens(wanted, left_nano_usd=left, max_nano_usd=cost)
        assert 0 <= longest <= wanted
        assert longest == 0 or cost(longest) <= left
        assert longest == wanted or cost(longest + 1) > left


class TestReservation:
    def test_name_is_valid_in_an_expression(self) -> None:
        assert Reservation(CallId(RUN_ID, 2, 13), 5, 0).name == f"{RUN_ID[4:9]}{RUN_ID[-16:]}_2_13"
