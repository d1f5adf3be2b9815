"""The budget is consistent after any reservations, settlements, retries and changes of plan."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.runs.budgets.domain import PlanLimits, ReservationRequest, Spent
from services.runs.budgets.operations.reservation import ReservedCall, reserve
from services.runs.budgets.operations.settlement import release_reservation, subtract_ingested
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import CallId
from shared.errors import LimitReached
from shared.events.envelope import new_event
from shared.events.metering import UsageIngested
from shared.ids import new_id
from shared.meters import Meter
from shared.plans import UNLIMITED
from shared.storage.inbox import AlreadyHandled, Delivery
from shared.storage.store import Store
from shared.tenancy.context import Allowance, TenantAccess
from tests.dynamodb.memory import MemoryDynamoDB

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PERIOD = "2026-11"
LIMITS = st.one_of(st.just(UNLIMITED), st.integers(0, 40_000))
RESERVATION_REQUESTS = st.builds(ReservationRequest, st.integers(600, 2_000), st.integers(1, 8_000), st.booleans())


@pytest.fixture(scope="module", name="store")
def make_store() -> Store:
    """One table for all examples; each has a tenant of its own."""
    return Store(MemoryDynamoDB(), table="entities", owned=SLICE)


class BudgetMachine(RuleBasedStateMachine):
    """One month of a tenant and its invariants."""

    store: ClassVar[Store]

    def __init__(self) -> None:
        super().__init__()
        self._tenant_id = new_id("t", NOW).lower()
        self._budgets = BudgetTable(self.store, self._tenant_id)
        self._now = NOW
        self._number = 0
        self._ingested: list[tuple[str, int]] = []
        self._open: dict[CallId, ReservedCall] = {}
        self._closed: list[ReservedCall] = []
        self._spent = Spent()
        self._outside_tokens = 0
        self._may_be_above = False

    @initialize(tokens=LIMITS, requests=st.integers(-1, 12), overage=st.booleans())
    def begin(self, tokens: int, requests: int, *, overage: bool) -> None:
        self._access = self._of(1, requests, tokens, overage=overage)
        self._stale = self._access

    @rule(reservation_request=RESERVATION_REQUESTS, first=st.booleans())
    def reserve(self, reservation_request: ReservationRequest, *, first: bool) -> None:
        self._number += 1
        call = CallId(new_id("run", NOW), 1, 1) if first else CallId(new_id("run", NOW), 2, self._number)
        before, limits = self._left(), PlanLimits.of(self._access)
        try:
            held = self._reserve(call, reservation_request)
        except LimitReached:
            too_few_tokens = limits.limits_tokens and before.tokens < reservation_request.min_tokens
            assert too_few_tokens or (first and limits.limits_requests and before.requests < 1)
            return
        self._open[call] = held
        if limits.limits_tokens:
            fair = (
                reservation_request.tokens
                if reservation_request.has_explicit_cap
                else max(before.tokens // 8, reservation_request.input_tokens + 256)
            )
            assert (
                reservation_request.min_tokens
                <= held.reservation.tokens
                <= min(fair, before.tokens, reservation_request.tokens)
            )
        else:
            assert held.reservation.tokens == reservation_request.tokens

    @precondition(lambda self: self._open)
    @rule(reservation_request=RESERVATION_REQUESTS, which=st.integers(0))
    def reserve_again(self, reservation_request: ReservationRequest, which: int) -> None:
        call = list(self._open)[which % len(self._open)]
        again = self._reserve(call, reservation_request)
        assert again.taken_over
        assert again.reservation.tokens == self._open[call].reservation.tokens
        release_reservation(
            self._budgets, self._open[call]
        )  # Another request has taken it over, so nothing is released.
        self._open[call] = again

    @precondition(lambda self: self._open)
    @rule(which=st.integers(0), part=st.integers(0, 100))
    def settle(self, which: int, part: int) -> None:
        call = list(self._open)[which % len(self._open)]
        held = self._open.pop(call)
        used = Spent(held.reservation.requests, held.reservation.tokens * part // 100)
        assert self._budgets.settle(held.period, held.reservation, used)
        self._spent = Spent(self._spent.requests + used.requests, self._spent.tokens + used.tokens)
        self._closed.append(held)

    @precondition(lambda self: self._open)
    @rule(which=st.integers(0))
    def release_reservation(self, which: int) -> None:
        call = list(self._open)[which % len(self._open)]
        if not self._open[call].taken_over:
            release_reservation(self._budgets, self._open.pop(call))

    @precondition(lambda self: self._closed)
    @rule(which=st.integers(0))
    def settle_again(self, which: int) -> None:
        held = self._closed[which % len(self._closed)]
        assert not self._budgets.settle(held.period, held.reservation, Spent())

    @rule(requests=st.integers(-1, 12), tokens=LIMITS, overage=st.booleans())
    def change_plan(self, requests: int, tokens: int, *, overage: bool) -> None:
        self._stale, self._access = self._access, self._of(self._access.seq + 1, requests, tokens, overage=overage)
        self._may_be_above = True

    @rule(reservation_request=RESERVATION_REQUESTS)
    def reserve_with_what_was_known_before(self, reservation_request: ReservationRequest) -> None:
        call = CallId(new_id("run", NOW), 2, 1)
        try:
            self._open[call] = reserve(
                self._budgets, self._stale, call, reservation_request, now=self._tick(), from_client=True
            )
        except LimitReached:
            return

    @rule(tokens=st.integers(0, 3_000))
    def ingest(self, tokens: int) -> None:
        self._ingested.append((new_id("in", NOW), tokens))
        self._ingest(*self._ingested[-1])
        self._outside_tokens += tokens
        self._may_be_above = True

    @precondition(lambda self: any(tokens for _, tokens in self._ingested))
    @rule()
    def ingest_again(self) -> None:
        event_id, tokens = next(entry for entry in self._ingested if entry[1])
        with pytest.raises(AlreadyHandled):
            self._ingest(event_id, tokens)

    @invariant()
    def the_item_says_what_was_used_and_what_is_held(self) -> None:
        budget = self._budgets.find(PERIOD)
        if budget is None:
            assert not self._open
            assert self._spent == Spent()
            return
        held = [one.reservation for one in self._open.values()]
        tokens = self._spent.tokens + self._outside_tokens + sum(one.tokens for one in held)
        requests = self._spent.requests + sum(one.requests for one in held)
        assert budget.tokens_left == max(budget.limits.tokens, 0) - tokens
        assert budget.requests_left == max(budget.limits.requests, 0) - requests
        assert {one.name: one for one in held} == dict(budget.open)
        if not self._may_be_above and budget.limits.limits_tokens:
            assert tokens <= budget.limits.tokens
        if not self._may_be_above and budget.limits.limits_requests:
            assert requests <= budget.limits.requests

    def _reserve(self, call: CallId, reservation_request: ReservationRequest) -> ReservedCall:
        return reserve(self._budgets, self._access, call, reservation_request, now=self._tick(), from_client=True)

    def _left(self) -> Spent:
        """Return the remainder under the current plan."""
        limits = PlanLimits.of(self._access)
        budget = self._budgets.find(PERIOD)
        if budget is None:
            return Spent(max(limits.requests, 0), max(limits.tokens, 0))
        now = budget.under(limits)
        return Spent(now.requests_left, now.tokens_left)

    def _ingest(self, event_id: str, tokens: int) -> None:
        payload = UsageIngested(event_id=event_id, source="/test", meters={Meter.TOKENS_IN: tokens}, period=PERIOD)
        event = new_event(payload, event_id=event_id, tenant_id=self._tenant_id, subject=event_id, seq=1, at=NOW)
        delivery = Delivery("runs.consumer", event_id, NOW)
        subtract_ingested(self._budgets, lambda _: self._access, event, delivery)

    def _of(self, seq: int, requests: int, tokens: int, *, overage: bool) -> TenantAccess:
        return TenantAccess(self._tenant_id, seq, "active", "pro", ("all",), Allowance(requests, tokens, 1, overage))

    def _tick(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now


def test_budget_is_consistent_after_any_steps(store: Store) -> None:
    BudgetMachine.store = store
    run_state_machine_as_test(
        BudgetMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
