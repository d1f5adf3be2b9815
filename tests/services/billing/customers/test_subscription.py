"""The plan and status that each state of a subscription grants."""

from datetime import timedelta

import pytest

from services.billing.customers.domain.subscription import Entitlement, SubscriptionState, entitlement_of
from services.billing.subscriptions.domain import select_current
from shared.plans import Plan
from tests.services.billing.stripe_subscriptions import ENDS, STARTED, subscription

FAILED = ENDS + timedelta(hours=24)
GRACE_ENDS = FAILED + timedelta(days=7)
BEFORE = Entitlement(Plan.ENTERPRISE, "suspended_by_billing")
SECOND = timedelta(seconds=1)

TABLE = {
    SubscriptionState.TRIALING: Entitlement(Plan.PRO, "active"),
    SubscriptionState.ACTIVE: Entitlement(Plan.PRO, "active"),
    SubscriptionState.PAST_DUE: Entitlement(Plan.PRO, "active", GRACE_ENDS),
    SubscriptionState.UNPAID: Entitlement(Plan.PRO, "suspended_by_billing"),
    SubscriptionState.PAUSED: Entitlement(Plan.PRO, "suspended_by_billing"),
    SubscriptionState.CANCELED: Entitlement(Plan.FREE, "active"),
    SubscriptionState.INCOMPLETE: BEFORE,
    SubscriptionState.INCOMPLETE_EXPIRED: BEFORE,
}


class TestEntitlement:
    def test_every_state_is_in_the_table(self) -> None:
        assert set(TABLE) == set(SubscriptionState)

    @pytest.mark.parametrize("state", SubscriptionState)
    def test_matches_the_table(self, state: SubscriptionState) -> None:
        found = entitlement_of(subscription(state, past_due_since=FAILED), before=BEFORE, now=FAILED)
        assert found == TABLE[state]

    def test_grace_ends_exactly_seven_days_after_the_first_failure(self) -> None:
        failing = subscription(SubscriptionState.PAST_DUE, past_due_since=FAILED)
        last = entitlement_of(failing, before=BEFORE, now=GRACE_ENDS - SECOND)
        assert (last.status, last.grace_until) == ("active", GRACE_ENDS)
        over = entitlement_of(failing, before=BEFORE, now=GRACE_ENDS)
        assert (over.status, over.grace_until) == ("suspended_by_billing", GRACE_ENDS)


class TestSelectCurrent:
    def test_is_none_without_subscriptions(self) -> None:
        assert select_current([]) is None

    def test_prefers_an_ongoing_one_to_a_newer_ended_one(self) -> None:
        older = subscription(subscription_id="sub_1")
        newer = subscription(SubscriptionState.CANCELED, subscription_id="sub_2", started_at=STARTED + SECOND)
        assert select_current([newer, older]) == older

    def test_prefers_an_ended_one_to_one_that_never_started(self) -> None:
        ended = subscription(SubscriptionState.CANCELED)
        begun = subscription(SubscriptionState.INCOMPLETE, subscription_id="sub_2", started_at=STARTED + SECOND)
        assert select_current([begun, ended]) == ended

    @pytest.mark.parametrize("state", [SubscriptionState.CANCELED, SubscriptionState.INCOMPLETE])
    def test_prefers_the_newest_of_equals(self, state: SubscriptionState) -> None:
        first, second = subscription(state), subscription(state, subscription_id="sub_2", started_at=STARTED + SECOND)
        assert select_current([second, first]) == second

    def test_prefers_the_first_paid_of_two_ongoing_ones(self) -> None:
        first, second = subscription(), subscription(subscription_id="sub_2", started_at=STARTED + SECOND)
        assert select_current([second, first]) == select_current([first, second]) == first

    def test_prefers_the_known_one_of_two_ongoing_ones(self) -> None:
        first, second = subscription(), subscription(subscription_id="sub_2", started_at=STARTED + SECOND)
        assert select_current([second, first], known_id="sub_2") == second
        ended = subscription(SubscriptionState.CANCELED, subscription_id="sub_2")
        assert select_current([ended, first], known_id="sub_2") == first
