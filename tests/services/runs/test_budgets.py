"""Runs within what their tenant may use: reserved, settled, swept."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.runs.consumer import events
from services.runs.domain.budget import Budget, Reservation, Spent
from services.runs.domain.request import ModelRequest, ToolCall
from services.runs.domain.run import CallId, Cost, LimitedBy, Run, Status
from services.runs.errors import (
    CostUsedUp,
    LeaseLost,
    ModelWithoutPrice,
    ProviderFailed,
    RequestsUsedUp,
    TokensUsedUp,
)
from services.runs.gateways.model import Counted, Ended, Stop, Text
from services.runs.operations.budgets import settle, sweep
from services.runs.operations.reaping import reap
from services.runs.operations.steering import cancel_run, hand_in_tool_outputs
from services.runs.table.budgets import BudgetTable, NotHeld
from services.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable, IdempotencyKeyReused
from shared.events.envelope import Event, happened
from shared.events.metering import UsageIngested
from shared.events.runs import RunEvent
from shared.ids import new_id
from shared.meters import Meter, Meters
from shared.storage.idempotency import AlreadyDone, Once
from shared.storage.items import Item
from tests.messages import batch
from tests.services.runs.conftest import World, know_tenant, know_version
from tests.services.runs.runs import TENANT
from tests.services.runs.work import LATER, ScriptedModel, access, execute, planner_of, submit

USED = {Meter.TOKENS_IN: 7, Meter.TOKENS_OUT: 2}
ANSWER = (Text("Hello"), Ended(USED))
BUSY = ProviderFailed("ProviderUnavailable", "Not now.", retry=True)
CUT = ProviderFailed("StreamTruncated", "Cut.", retry=True, usage_known=False)
TOOL = (Text("Let me see."), Ended(USED, (ToolCall("call_1", "weather", "{}"),), Stop.TOOL_CALLS))
LAST_OF_NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
LIMIT = 100_000
ONE_INPUT = 700
"""About what the input of the tests' runs may take."""


def _limit(world: World, tokens: int = LIMIT, *, seq: int = 2, requests: int = 100, **said: Any) -> None:  # noqa: ANN401 — those of tenant_created
    know_tenant(world.store, seq=seq, max_tokens_per_month=tokens, max_requests_per_month=requests, **said)


def _budget(world: World, period: str = "2026-11") -> Budget:
    budget = world.budgets.find(TENANT, period)
    assert budget is not None
    return budget


def _left(world: World, period: str = "2026-11") -> Spent:
    budget = _budget(world, period)
    return Spent(budget.requests_left, budget.tokens_left)


def _bound(run: Run) -> int:
    assert run.open_call is not None
    return run.open_call.bound_tokens


def _sweep(world: World, *, after: timedelta = timedelta(minutes=6)) -> int:
    return sweep(world.budgets, world.runs, now=LATER + after)


def _once(body: str = "a") -> Once:
    return Once(TENANT, "user:1 POST runs", "key", body, LATER)


class Silent(BudgetTable):
    """A table whose worker, reaper or api dies before it can settle."""

    def settle(self, *_: object, **__: object) -> bool:
        """Nothing happens."""
        return False


class Unreadable(BudgetTable):
    """A table that does not answer."""

    def reserve(self, *_: object, **__: object) -> NotHeld | None:
        """Nobody knows what is left."""
        raise DependencyUnavailable("The database does not answer.")  # noqa: EM101 — as told


class Cut(RunTable):
    """A table that is not reached any more when a new run is to be written."""

    def add(self, *_: object, **__: object) -> Item:
        """Nobody knows whether it was written."""
        raise DependencyUnavailable("The database does not answer.")  # noqa: EM101 — as told


def _crash_after_reserving(world: World, once: Once | None = None) -> None:
    runs = Cut(world.store, world.runs._payloads)  # pyright: ignore[reportPrivateUsage]  # the same ones
    with pytest.raises(DependencyUnavailable):
        submit(replace(world, runs=runs), once=once)


class TestPost:
    def test_holds_one_request_and_the_bound_until_the_run_has_ended(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        assert _left(world) == Spent(99, LIMIT - _bound(run))
        execute(world, run, ScriptedModel([ANSWER]))
        assert _left(world) == Spent(99, LIMIT - 9)
        assert _budget(world).open == {}

    def test_is_refused_when_not_even_the_input_fits(self, world: World) -> None:
        _limit(world, 500)
        with pytest.raises(TokensUsedUp) as refused:
            submit(world)
        assert refused.value.resets_at == datetime(2026, 12, 1, tzinfo=UTC)

    def test_is_refused_when_the_requests_are_used_up(self, world: World) -> None:
        _limit(world, requests=2)
        for _ in range(2):
            submit(world)
        with pytest.raises(RequestsUsedUp):
            submit(world)

    def test_clamps_the_cap_and_says_so(self, world: World) -> None:
        _limit(world, 2_000)
        run = submit(world)
        assert run.open_call is not None
        assert (run.limited_by, run.open_call.max_output_tokens) == (LimitedBy.BUDGET, 256)
        models = ScriptedModel([ANSWER])
        assert execute(world, run, models).limited_by is LimitedBy.BUDGET
        assert models.requests[0].max_output_tokens == 256

    def test_gives_more_than_an_eighth_to_a_run_that_asks_for_it(self, world: World) -> None:
        _limit(world, 20_000)
        run = submit(world, max_output_tokens=10_000)
        assert run.open_call is not None
        assert (run.limited_by, run.open_call.max_output_tokens) == (None, 10_000)

    def test_is_not_limited_without_a_limit_but_counted(self, world: World) -> None:
        _limit(world, -1, requests=-1)
        execute(world, submit(world), ScriptedModel([ANSWER]))
        assert _left(world) == Spent(-1, -9)

    def test_goes_on_above_the_limit_where_the_tenant_allows_that(self, world: World) -> None:
        _limit(world, 5, requests=0, overage="allow")
        run = submit(world)
        execute(world, run, ScriptedModel([ANSWER]))
        assert (run.limited_by, _left(world)) == (None, Spent(-1, -4))

    def test_is_refused_when_nobody_knows_what_is_left(self, world: World) -> None:
        with pytest.raises(DependencyUnavailable):
            submit(replace(world, budgets=Unreadable(world.store)))
        assert list(world.runs.due(now=LATER + timedelta(days=1))) == []


class TestSentAgain:
    def test_goes_on_with_what_was_reserved_under_the_same_id(self, world: World) -> None:
        _limit(world, ONE_INPUT + 200)
        _crash_after_reserving(world, _once())
        held = _left(world)
        run = submit(world, once=_once(), now=LATER + timedelta(seconds=9))
        assert _left(world) == held
        [reservation] = _budget(world).open.values()
        assert reservation.call.run_id == run.run_id
        assert _bound(run) == reservation.tokens
        execute(world, run, ScriptedModel([ANSWER]))
        assert _left(world) == Spent(99, ONE_INPUT + 200 - 9)

    def test_reserves_by_itself_for_another_body_and_gives_that_back_when_it_is_refused(self, world: World) -> None:
        _limit(world)
        run = submit(world, once=_once("a"))
        with pytest.raises(IdempotencyKeyReused):
            submit(world, once=_once("b"))
        assert _left(world) == Spent(99, LIMIT - _bound(run))

    def test_leaves_the_run_that_was_first_what_it_has(self, world: World) -> None:
        _limit(world)
        run = submit(world, once=_once())
        with pytest.raises(AlreadyDone, match=run.run_id):
            submit(world, once=_once(), now=LATER + timedelta(seconds=1))
        assert _left(world) == Spent(99, LIMIT - _bound(run))

    def test_gives_back_what_it_has_reserved_when_the_first_one_is_settled(self, world: World) -> None:
        _limit(world)
        run = submit(world, once=_once())
        execute(world, run, ScriptedModel([ANSWER]))
        with pytest.raises(AlreadyDone, match=run.run_id):
            submit(world, once=_once(), now=LATER + timedelta(seconds=1))
        assert _left(world) == Spent(99, LIMIT - 9)


class TestFurtherCalls:
    def test_reserve_for_themselves(self, world: World) -> None:
        _limit(world)
        seen: list[Spent] = []
        scripts = [[lambda: seen.append(_left(world)), BUSY], [lambda: seen.append(_left(world)), *ANSWER]]
        run = submit(world)
        execute(world, run, ScriptedModel(scripts))
        assert seen == [Spent(99, LIMIT - _bound(run))] * 2
        assert _left(world) == Spent(99, LIMIT - 9)

    def test_keep_what_is_not_known_as_spent(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        execute(world, run, ScriptedModel([[Counted({Meter.TOKENS_IN: 7}), CUT], ANSWER]))
        assert _left(world) == Spent(99, LIMIT - _bound(run) - 9)

    def test_end_the_run_when_too_little_is_left(self, world: World) -> None:
        _limit(world, 1_500)
        run = submit(world, max_output_tokens=100_000)
        done = execute(world, run, ScriptedModel([[CUT], ANSWER]))
        assert done.error is not None
        assert (done.status, done.error.code, len(done.calls)) == (Status.FAILED, "LimitReached", 1)
        assert _left(world) == Spent(99, 0)

    def test_that_a_cancellation_comes_before_take_nothing(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        reads: list[str] = []

        def cancel_while_planning(tenant_id: str) -> None:
            reads.append(tenant_id)
            cancel_run(world.runs, world.budgets, TENANT, run.run_id, now=LATER, if_match=None)

        done = execute(world, run, ScriptedModel([[BUSY], ANSWER]), on_access=cancel_while_planning)
        assert (done.status, len(done.calls), len(reads)) == (Status.CANCELLED, 1, 1)
        assert _left(world) == Spent(99, LIMIT)
        assert _budget(world).open == {}

    def test_see_a_plan_that_has_become_smaller(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        script = [[lambda: _limit(world, 1_000, seq=3), BUSY], ANSWER]
        done = execute(world, run, ScriptedModel(script))
        assert (done.status, done.limited_by) == (Status.COMPLETED, LimitedBy.BUDGET)
        assert _left(world) == Spent(99, 1_000 - 9)

    def test_see_a_plan_that_has_become_larger(self, world: World) -> None:
        _limit(world, 1_500)
        script = [[lambda: _limit(world, LIMIT, seq=3), CUT], ANSWER]
        run = submit(world, max_output_tokens=100_000)
        assert execute(world, run, ScriptedModel(script)).status is Status.COMPLETED
        assert _left(world) == Spent(99, LIMIT - 1_500 - 9)

    def test_belong_to_the_month_of_their_reservation(self, world: World) -> None:
        _limit(world)
        run = submit(world, now=LAST_OF_NOVEMBER)
        ticks: Iterator[datetime] = iter([LAST_OF_NOVEMBER] * 2 + [DECEMBER] * 50)
        done = execute(world, run, ScriptedModel([[BUSY], ANSWER]), clock=ticks)
        assert [call.period for call in done.calls] == ["2026-11", "2026-12"]
        assert _left(world) == Spent(99, LIMIT)
        assert _left(world, "2026-12") == Spent(100, LIMIT - 9)


class TestTools:
    def _waiting(self, world: World) -> Run:
        version = know_version(world, 2, tools=[{"name": "weather"}])
        return execute(world, submit(world, version=version), ScriptedModel([TOOL]))

    def _hand_in(self, world: World, run: Run, output: str = "rain", *, now: datetime = LATER) -> Run:
        outputs = {"call_1": output}
        return hand_in_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), run.run_id, outputs, now=now
        )

    def test_hold_nothing_while_they_are_executed(self, world: World) -> None:
        _limit(world)
        self._waiting(world)
        assert _left(world) == Spent(99, LIMIT - 9)

    def test_reserve_anew_with_their_outputs_once(self, world: World) -> None:
        _limit(world)
        waiting = self._waiting(world)
        again = [self._hand_in(world, waiting) for _ in range(2)]
        assert _left(world) == Spent(99, LIMIT - 9 - _bound(again[0]))
        assert again[0].open_call_id == CallId(waiting.run_id, 2, 1)
        execute(world, again[0], ScriptedModel([ANSWER]))
        assert _left(world) == Spent(99, LIMIT - 18)

    def test_whose_next_call_does_not_fit_wait_for_the_same_outputs_still(self, world: World) -> None:
        _limit(world)
        waiting = self._waiting(world)
        _limit(world, 100, seq=3)
        with pytest.raises(TokensUsedUp):
            self._hand_in(world, waiting)
        _limit(world, seq=4)
        assert self._hand_in(world, waiting).status is Status.QUEUED

    def test_that_were_handed_in_by_another_request_first_take_nothing_more(self, world: World) -> None:
        _limit(world)
        waiting = self._waiting(world)

        class Overtaken(RunTable):
            """Another request is faster, and its run is over already."""

            overtaken = False

            def save(self, before: Run, after: Run, events: list[Event[RunEvent]], **_: bool) -> Item:
                super().save(before, after, events)
                execute(world, after, ScriptedModel([ANSWER]))
                raise LeaseLost

        table = Overtaken(world.store, world.runs._payloads)  # pyright: ignore[reportPrivateUsage]  # the same ones
        self._hand_in(replace(world, runs=table), waiting)
        assert _left(world) == Spent(99, LIMIT - 18)
        assert _budget(world).open == {}


class TestEndWithoutACall:
    def test_gives_the_request_back(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        cancel_run(world.runs, world.budgets, TENANT, run.run_id, now=LATER, if_match=None)
        assert _left(world) == Spent(100, LIMIT)


class TestSettle:
    def test_again_changes_nothing(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        done = execute(world, run, ScriptedModel([ANSWER]))
        settle(world.budgets, run, done)
        assert _left(world) == Spent(99, LIMIT - 9)

    def test_of_a_call_that_was_never_reserved_gives_nothing(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        other = Reservation(CallId(new_id("run", LATER), 1, 1), 5_000, 0)
        assert not world.budgets.settle(TENANT, "2026-11", other, Spent())
        assert not world.budgets.settle(TENANT, "2026-10", other, Spent())
        assert _left(world) == Spent(99, LIMIT - _bound(run))

    def test_leaves_what_was_touched_since_it_was_seen(self, world: World) -> None:
        _limit(world)
        _crash_after_reserving(world, _once())
        [seen] = _budget(world).open.values()
        run = submit(world, once=_once())
        assert not world.budgets.settle(TENANT, "2026-11", seen, Spent(), unless_touched=True)
        assert _left(world) == Spent(99, LIMIT - _bound(run))


class TestReaper:
    def test_keeps_what_a_lost_call_may_have_used(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        world.runs.take(TENANT, run.run_id, now=LATER)
        reap(world.runs, world.budgets, now=LATER + timedelta(minutes=1))
        assert _left(world) == Spent(99, LIMIT - _bound(run))
        assert _budget(world).open == {}

    def test_leaves_what_is_held_for_a_run_that_waits_in_the_queue(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        reap(world.runs, world.budgets, now=LATER + timedelta(minutes=16))
        assert len(_budget(world).open) == 1
        execute(world, run, ScriptedModel([ANSWER]))
        assert _left(world) == Spent(99, LIMIT - 9)


class TestSweep:
    def test_gives_back_what_was_reserved_for_a_run_that_was_never_written(self, world: World) -> None:
        _limit(world)
        _crash_after_reserving(world)
        assert _sweep(world, after=timedelta(minutes=4)) == 0
        assert _sweep(world) == 1
        assert _left(world) == Spent(100, LIMIT)
        assert list(world.budgets.due(now=LATER + timedelta(days=1))) == []

    def test_leaves_what_a_second_try_of_the_request_goes_on_with(self, world: World) -> None:
        _limit(world)
        _crash_after_reserving(world, _once())
        run = submit(world, once=_once(), now=LATER + timedelta(minutes=5, seconds=59))
        assert _sweep(world) == 0
        assert _left(world) == Spent(99, LIMIT - _bound(run))

    def test_takes_what_the_run_says_of_a_call_that_was_not_settled(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        world.runs.take(TENANT, run.run_id, now=LATER)
        dying = replace(world, budgets=Silent(world.store))
        reap(world.runs, dying.budgets, now=LATER + timedelta(minutes=1))
        execute(dying, run, ScriptedModel([ANSWER]))
        assert len(_budget(world).open) == 2
        assert _sweep(world) == 2
        assert _left(world) == Spent(99, LIMIT - _bound(run) - 9)

    def test_leaves_calls_that_wait_or_are_under_way(self, world: World) -> None:
        _limit(world)
        waiting, under_way = submit(world), submit(world)
        world.runs.take(TENANT, under_way.run_id, now=LATER)
        assert _sweep(world) == 0
        assert _left(world) == Spent(98, LIMIT - _bound(waiting) - _bound(under_way))

    def test_comes_back_as_long_as_something_is_open(self, world: World) -> None:
        _limit(world)
        run = submit(world)
        assert _sweep(world) == 0
        cancel_run(world.runs, Silent(world.store), TENANT, run.run_id, now=LATER, if_match=None)
        assert _sweep(world, after=timedelta(minutes=12)) == 1
        assert _left(world) == Spent(100, LIMIT)


class TestCost:
    PRICE = 1_000
    """Nano-USD for each token."""

    def _price(self, request: ModelRequest, meters: Meters, _: datetime) -> Cost:
        if request.model == "mystery":
            return Cost(None, "list 1")
        tokens = meters.get(Meter.TOKENS_IN, 0) + meters.get(Meter.TOKENS_OUT, 0)
        return Cost(tokens * self.PRICE, "list 1")

    def test_limits_the_cap(self, world: World) -> None:
        run = submit(world, price=self._price, max_cost_nano_usd=1_000 * self.PRICE)
        assert run.open_call is not None
        assert run.limited_by is LimitedBy.MAX_COST
        assert run.open_call.bound_tokens == 1_000
        assert run.open_call.bound_nano_usd == 1_000 * self.PRICE

    def test_that_is_more_than_enough_limits_nothing(self, world: World) -> None:
        assert submit(world, price=self._price, max_cost_nano_usd=10**9).limited_by is None

    def test_is_refused_when_the_input_alone_may_cost_more(self, world: World) -> None:
        with pytest.raises(CostUsedUp):
            submit(world, price=self._price, max_cost_nano_usd=500 * self.PRICE)

    def test_of_later_calls_is_what_the_earlier_ones_have_left(self, world: World) -> None:
        run = submit(world, price=self._price, max_cost_nano_usd=2_000 * self.PRICE)
        models = ScriptedModel([[Counted(USED), BUSY], ANSWER])
        done = execute(world, run, models, price=self._price)
        assert [request.max_output_tokens for request in models.requests] == [
            models.requests[0].max_output_tokens,
            models.requests[0].max_output_tokens - 9,
        ]
        assert (done.status, done.cost_nano_usd) == (Status.COMPLETED, 18 * self.PRICE)

    def test_of_a_call_that_broke_off_is_its_bound(self, world: World) -> None:
        run = submit(world, price=self._price, max_cost_nano_usd=2_000 * self.PRICE)
        done = execute(world, run, ScriptedModel([[Counted(USED), CUT], ANSWER]), price=self._price)
        assert done.error is not None
        assert (done.error.code, len(done.calls), done.left_nano_usd) == ("LimitReached", 1, 0)

    @pytest.mark.parametrize("config", [{"model": "mystery"}, {"fallbacks": ["mystery"]}])
    def test_needs_a_price_for_every_model(self, world: World, config: dict[str, object]) -> None:
        version = know_version(world, 2, **config)
        with pytest.raises(ModelWithoutPrice):
            submit(world, version=version, price=self._price, max_cost_nano_usd=10**9)


class TestUsageFromOutside:
    def _said(self, tokens: int = 30, *, period: str = "2026-11", tenant_id: str = TENANT) -> Event[UsageIngested]:
        meters = {Meter.TOKENS_IN: tokens, Meter.TOKENS_OUT: 4, Meter.REQUESTS: 1}
        data = UsageIngested(event_id="e1", source="/batch", meters=meters, period=period)
        name = f"{tenant_id}:e1:ingested"
        return happened(data, event_id=name, tenant_id=tenant_id, subject="e1", seq=1, at=LATER)

    def test_is_taken_from_its_month_once(self, world: World) -> None:
        _limit(world)
        for _ in range(2):
            assert events.handler(batch(self._said())) == {"batchItemFailures": []}
        assert _left(world) == Spent(99, LIMIT - 34)

    def test_is_taken_whatever_is_left(self, world: World) -> None:
        _limit(world, 10)
        events.handler(batch(self._said(period="2026-10")))
        assert _left(world, "2026-10") == Spent(99, -24)
