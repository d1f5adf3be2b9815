"""What a subscription means for a tenant: the table, by hand."""

from datetime import timedelta

import pytest

from services.billing.domain.subscription import Standing, SubscriptionState, current_of, standing_of
from shared.plans import Plan
from tests.services.billing.subscriptions import ENDS, STARTED, subscription

FAILED = ENDS + timedelta(hours=24)
GRACE_ENDS = FAILED + timedelta(days=7)
BEFORE = Standing(Plan.ENTERPRISE, "suspended_by_billing")
SECOND = timedelta(seconds=1)

TABLE = {
    SubscriptionState.TRIALING: Standing(Plan.PRO, "active"),
    SubscriptionState.ACTIVE: Standing(Plan.PRO, "active"),
    SubscriptionState.PAST_DUE: Standing(Plan.PRO, "active", GRACE_ENDS),
    SubscriptionState.UNPAID: Standing(Plan.PRO, "suspended_by_billing"),
    SubscriptionState.PAUSED: Standing(Plan.PRO, "suspended_by_billing"),
    SubscriptionState.CANCELED: Standing(Plan.FREE, "active"),
    SubscriptionState.INCOMPLETE: BEFORE,
    SubscriptionState.INCOMPLETE_EXPIRED: BEFORE,
}


class TestStanding:
    def test_every_state_is_in_the_table(self) -> None:
        assert set(TABLE) == set(SubscriptionState)

    @pytest.mark.parametrize("state", SubscriptionState)
    def test_is_that_of_the_table(self, state: SubscriptionState) -> None:
        found = standing_of(subscription(state, failing_since=FAILED), before=BEFORE, now=FAILED)
        assert found == TABLE[state]

    def test_grace_is_over_seven_days_after_the_first_failure_to_the_second(self) -> None:
        failing = subscription(SubscriptionState.PAST_DUE, failing_since=FAILED)
        last = standing_of(failing, before=BEFORE, now=GRACE_ENDS - SECOND)
        assert (last.status, last.grace_until) == ("active", GRACE_ENDS)
        over = standing_of(failing, before=BEFORE, now=GRACE_ENDS)
        assert (over.status, over.grace_until) == ("suspended_by_billing", GRACE_ENDS)


class TestCurrent:
    def test_of_none_is_none(self) -> None:
        assert current_of([]) is None

    def test_one_that_goes_on_comes_before_a_newer_one_that_does_not(self) -> None:
        older = subscription(subscription_id="sub_1")
        newer = subscription(SubscriptionState.CANCELED, subscription_id="sub_2", started_at=STARTED + SECOND)
        assert current_of([newer, older]) == older

    def test_one_that_has_ended_comes_before_one_that_never_began(self) -> None:
        ended = subscription(SubscriptionState.CANCELED)
        begun = subscription(SubscriptionState.INCOMPLETE, subscription_id="sub_2", started_at=STARTED + SECOND)
        assert current_of([begun, ended]) == ended

    @pytest.mark.parametrize("state", [SubscriptionState.CANCELED, SubscriptionState.INCOMPLETE])
    def test_the_newest_of_equals(self, state: SubscriptionState) -> None:
        first, second = subscription(state), subscription(state, subscription_id="sub_2", started_at=STARTED + SECOND)
        assert current_of([second, first]) == second

    def test_the_one_that_was_paid_first_of_two_that_go_on(self) -> None:
        first, second = subscription(), subscription(subscription_id="sub_2", started_at=STARTED + SECOND)
        assert current_of([second, first]) == current_of([first, second]) == first

    def test_the_known_one_of_two_that_go_on(self) -> None:
        first, second = subscription(), subscription(subscription_id="sub_2", started_at=STARTED + SECOND)
        assert current_of([second, first], known_id="sub_2") == second
        ended = subscription(SubscriptionState.CANCELED, subscription_id="sub_2")
        assert current_of([ended, first], known_id="sub_2") == first
