"""What is left of a month, and what a call may take of it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.domain import lifecycle
from services.runs.domain.budget import (
    LEAST_ANSWER_TOKENS,
    Budget,
    Reservation,
    Share,
    Spent,
    Terms,
    Wish,
    month_of,
    next_month,
    part,
    spent_by,
    spent_outside,
    whole,
)
from services.runs.domain.cost import longest_answer
from services.runs.domain.run import CallEnd, CallId, Outcome, RunError, Status
from services.runs.errors import RequestsUsedUp, TokensUsedUp, TooManyOpenCalls
from shared.meters import Meter
from tests.services.runs.runs import CALL, END, NOW, OUTPUT, RUN_ID, running, submitted, taken

FIRST = CallId(RUN_ID, 1, 1)
TERMS = Terms(seq=1, requests=10, tokens=100_000, overage=False)
WISHES = st.builds(Wish, st.integers(1, 5_000), st.integers(1, 20_000), st.booleans())


def _part(left: int, wish: Wish, *, tries: int = 1, call: CallId = FIRST, terms: Terms = TERMS) -> Share:
    budget = Budget(terms, requests_left=1, tokens_left=left)
    return part(budget, wish, call=call, most_open=10, tries=tries, now=NOW)


class TestPart:
    @given(WISHES, st.integers(0, 200_000), st.integers(1, 20))
    def test_fits_into_what_is_left_and_lets_the_input_be_answered(self, wish: Wish, left: int, tries: int) -> None:
        if left < wish.least_tokens:
            with pytest.raises(TokensUsedUp):
                _part(left, wish, tries=tries)
            return
        share = _part(left, wish, tries=tries)
        assert wish.least_tokens <= share.tokens <= min(left, wish.tokens)
        assert share.tokens <= share.if_left_tokens <= max(left, share.tokens)

    @given(WISHES, st.integers(0, 200_000), st.integers(1, 20))
    def test_takes_an_eighth_at_most_unless_asked_for_more(self, wish: Wish, left: int, tries: int) -> None:
        if wish.asked_for or left < wish.least_tokens:
            return
        share = _part(left, wish, tries=tries)
        assert share.tokens <= max(left // 8, wish.input_tokens + 256)
        # It holds at the moment of the write too: what must be left then is eight times as much.
        assert share.tokens <= wish.input_tokens + 256 or share.if_left_tokens == 8 * share.tokens

    def test_takes_all_that_was_asked_for_or_all_that_is_left(self) -> None:
        wish = Wish(1_000, 50_000, asked_for=True)
        assert _part(60_000, wish).tokens == 51_000
        assert _part(20_000, wish).tokens == 20_000

    def test_takes_less_each_time_that_others_were_faster(self) -> None:
        wish = Wish(100, 100_000, asked_for=False)
        assert [_part(80_000, wish, tries=tries).tokens for tries in (1, 2, 3)] == [10_000, 5_000, 3_333]

    def test_is_refused_when_the_requests_are_used_up(self) -> None:
        budget = Budget(TERMS, requests_left=0, tokens_left=90_000)
        with pytest.raises(RequestsUsedUp) as refused:
            part(budget, Wish(1, 1, asked_for=True), call=FIRST, most_open=10, tries=1, now=NOW)
        assert refused.value.resets_at == datetime(2026, 12, 1, tzinfo=UTC)

    def test_of_a_later_call_needs_no_request(self) -> None:
        budget = Budget(TERMS, requests_left=-3, tokens_left=90_000)
        later = CallId(RUN_ID, 1, 2)
        assert part(budget, Wish(1, 9, asked_for=True), call=later, most_open=10, tries=1, now=NOW).tokens == 10

    @pytest.mark.parametrize("terms", [Terms(1, 10, -1, overage=False), Terms(1, 10, 5, overage=True)])
    def test_is_the_whole_where_nothing_limits_it(self, terms: Terms) -> None:
        wish = Wish(100, 4_096, asked_for=False)
        assert _part(-1_000_000, wish, terms=terms) == whole(wish)

    def test_is_refused_when_too_many_calls_are_open(self) -> None:
        held = {str(number): Reservation(CallId(RUN_ID, 1, number), 5, 0) for number in range(10)}
        budget = Budget(TERMS, requests_left=1, tokens_left=90_000, open=held)
        with pytest.raises(TooManyOpenCalls):
            part(budget, Wish(1, 1, asked_for=True), call=FIRST, most_open=10, tries=1, now=NOW)

    def test_asks_for_no_answer_that_no_provider_would_give(self) -> None:
        with pytest.raises(TokensUsedUp):
            _part(100 + LEAST_ANSWER_TOKENS - 1, Wish(100, 4_096, asked_for=False))
        assert _part(103, Wish(100, 3, asked_for=True)).tokens == 103


class TestWhole:
    def test_of_a_default_needs_eight_times_as_much_to_be_left(self) -> None:
        assert whole(Wish(904, 4_096, asked_for=False)) == Share(5_000, 40_000)
        assert whole(Wish(904, 4_096, asked_for=True)) == Share(5_000, 5_000)


class TestUnder:
    LIMITS = st.integers(-1, 1_000_000)

    @given(LIMITS, LIMITS, st.integers(0, 500_000))
    def test_another_plan_what_was_used_stays_used(self, before: int, after: int, used: int) -> None:
        first, then = Terms(1, 5, before, overage=False), Terms(2, 7, after, overage=False)
        budget = Budget.fresh(first)
        spent = Budget(first, budget.requests_left - 2, budget.tokens_left - used)
        changed = spent.under(then)
        assert changed.terms == then
        assert Budget.fresh(then).tokens_left - changed.tokens_left == used
        assert changed.requests_left == 5
        assert changed.under(first) == spent


class TestSpentBy:
    def test_an_ended_call_is_what_the_run_says(self) -> None:
        run, _ = lifecycle.complete(running(), END, OUTPUT, now=NOW)
        assert spent_by(run, FIRST) == Spent(requests=1, tokens=8)

    def test_a_lost_call_is_its_bound(self) -> None:
        run, _ = lifecycle.give_back(running(), now=NOW)
        assert spent_by(run, FIRST) == Spent(requests=1, tokens=CALL.bound_tokens)

    def test_a_cut_call_is_its_bound_whatever_was_counted(self) -> None:
        end = CallEnd(Outcome.FAILED, {Meter.TOKENS_IN: 40}, usage_known=False)
        run, _ = lifecycle.end_call(running(), end, now=NOW)
        assert spent_by(run, FIRST) == Spent(requests=1, tokens=CALL.bound_tokens)

    def test_a_call_that_waits_or_is_under_way_is_not_known(self) -> None:
        assert spent_by(submitted()[0], FIRST) is None
        assert spent_by(running(), FIRST) is None

    def test_a_call_that_its_worker_may_still_write_down_is_not_known(self) -> None:
        run, _ = lifecycle.end_call(running(), END, now=NOW)
        assert spent_by(run, CallId(RUN_ID, 1, 2)) is None

    def test_a_call_of_an_attempt_that_is_over_was_never_sent(self) -> None:
        run, _ = lifecycle.give_back(running(), now=NOW)
        assert spent_by(run, CallId(RUN_ID, 1, 2)) == Spent()
        assert spent_by(taken(run, call=None), CallId(RUN_ID, 1, 2)) == Spent()

    def test_a_call_of_a_run_that_ended_without_it_was_never_sent(self) -> None:
        cancelled, _ = lifecycle.cancel(submitted()[0], now=NOW)
        assert spent_by(cancelled, FIRST) == Spent()
        failed, _ = lifecycle.fail(running(), None, RunError("LimitReached", "No."), now=NOW)
        assert (failed.status, spent_by(failed, FIRST)) == (Status.FAILED, Spent())

    def test_a_call_of_no_run_was_never_sent(self) -> None:
        assert spent_by(None, FIRST) == Spent()

    def test_what_came_from_outside_is_its_requests_and_tokens(self) -> None:
        meters = {Meter.REQUESTS: 2, Meter.TOKENS_IN: 30, Meter.TOKENS_OUT: 4, Meter.COMPUTE_MS: 99}
        assert spent_outside(meters) == Spent(2, 34)


class TestMonth:
    def test_is_that_of_utc(self) -> None:
        just_after_midnight = datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
        assert month_of(just_after_midnight) == "2026-11"
        assert next_month(just_after_midnight) == datetime(2026, 12, 1, tzinfo=UTC)

    @given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 — hypothesis adds it
    def test_ends_where_the_next_one_begins(self, now: datetime) -> None:
        then = next_month(now)
        assert now < then
        assert month_of(then - timedelta(microseconds=1)) == month_of(now)
        assert month_of(then) != month_of(now)


class TestLongestAnswer:
    @given(st.integers(1, 20_000), st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 50_000))
    def test_is_the_longest_that_costs_no_more(self, wanted: int, left: int, base: int, per_token: int) -> None:
        def cost(tokens: int) -> int:
            return base + per_token * tokens

        longest = longest_answer(wanted, left_nano_usd=left, most_nano_usd=cost)
        assert 0 <= longest <= wanted
        assert longest == 0 or cost(longest) <= left
        assert longest == wanted or cost(longest + 1) > left


class TestReservation:
    def test_is_kept_under_a_name_that_is_fit_for_an_expression(self) -> None:
        assert Reservation(CallId(RUN_ID, 2, 13), 5, 0).name == f"{RUN_ID[4:9]}{RUN_ID[-16:]}_2_13"
