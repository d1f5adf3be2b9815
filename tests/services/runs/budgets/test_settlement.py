"""What was reserved is given back, once: settled, reaped and swept; what a run may cost, and usage from outside."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.runs.consumer import events
from services.runs.domain.budget import Reservation, Spent
from services.runs.domain.request import ModelRequest
from services.runs.domain.run import CallId, Cost, LimitedBy, Status
from services.runs.errors import CostUsedUp, ModelWithoutPrice
from services.runs.gateways.model import Counted
from services.runs.operations.budgets import settle
from services.runs.operations.reaping import reap
from services.runs.operations.steering import cancel_run
from shared.events.envelope import Event, happened
from shared.events.metering import UsageBatchIngested, UsageIngested
from shared.ids import new_id
from shared.meters import Meter, Meters
from tests.messages import batch
from tests.services.runs.budgeted import (
    ANSWER,
    BUSY,
    CUT,
    LIMIT,
    USED,
    Silent,
    bound_of,
    budget_of,
    crash_after_reserving,
    left_of,
    limit,
    once,
    sweep_later,
)
from tests.services.runs.conftest import World, know_version
from tests.services.runs.runs import TENANT
from tests.services.runs.work import LATER, ScriptedModel, execute, submit, take


class TestEndWithoutACall:
    def test_gives_the_request_back(self, world: World) -> None:
        limit(world)
        run = submit(world)
        cancel_run(world.runs, world.budgets, TENANT, run.run_id, now=LATER, if_match=None)
        assert left_of(world) == Spent(100, LIMIT)


class TestSettle:
    def test_again_changes_nothing(self, world: World) -> None:
        limit(world)
        run = submit(world)
        done = execute(world, run, ScriptedModel([ANSWER]))
        settle(world.budgets, run, done)
        assert left_of(world) == Spent(99, LIMIT - 9)

    def test_of_a_call_that_was_never_reserved_gives_nothing(self, world: World) -> None:
        limit(world)
        run = submit(world)
        other = Reservation(CallId(new_id("run", LATER), 1, 1), 5_000, 0)
        assert not world.budgets.settle(TENANT, "2026-11", other, Spent())
        assert not world.budgets.settle(TENANT, "2026-10", other, Spent())
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_leaves_what_was_touched_since_it_was_seen(self, world: World) -> None:
        limit(world)
        crash_after_reserving(world, once())
        [seen] = budget_of(world).open.values()
        run = submit(world, once=once())
        assert not world.budgets.settle(TENANT, "2026-11", seen, Spent(), unless_touched=True)
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))


class TestReaper:
    def test_keeps_what_a_lost_call_may_have_used(self, world: World) -> None:
        limit(world)
        run = submit(world)
        take(world, run.run_id, now=LATER)
        reap(world.runs, world.budgets, now=LATER + timedelta(minutes=1))
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))
        assert budget_of(world).open == {}

    def test_leaves_what_is_held_for_a_run_that_waits_in_the_queue(self, world: World) -> None:
        limit(world)
        run = submit(world)
        reap(world.runs, world.budgets, now=LATER + timedelta(minutes=16))
        assert len(budget_of(world).open) == 1
        execute(world, run, ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(99, LIMIT - 9)


class TestSweep:
    def test_gives_back_what_was_reserved_for_a_run_that_was_never_written(self, world: World) -> None:
        limit(world)
        crash_after_reserving(world)
        assert sweep_later(world, after=timedelta(minutes=4)) == 0
        assert sweep_later(world) == 1
        assert left_of(world) == Spent(100, LIMIT)
        assert list(world.budgets.queue.entries(now=LATER + timedelta(days=1))) == []

    def test_leaves_what_a_second_try_of_the_request_goes_on_with(self, world: World) -> None:
        limit(world)
        crash_after_reserving(world, once())
        run = submit(world, once=once(), now=LATER + timedelta(minutes=5, seconds=59))
        assert sweep_later(world) == 0
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_takes_what_the_run_says_of_a_call_that_was_not_settled(self, world: World) -> None:
        limit(world)
        run = submit(world)
        take(world, run.run_id, now=LATER)
        dying = replace(world, budgets=Silent(world.store))
        reap(world.runs, dying.budgets, now=LATER + timedelta(minutes=1))
        execute(dying, run, ScriptedModel([ANSWER]))
        assert len(budget_of(world).open) == 2
        assert sweep_later(world) == 2
        assert left_of(world) == Spent(99, LIMIT - bound_of(run) - 9)

    def test_leaves_calls_that_wait_or_are_under_way(self, world: World) -> None:
        limit(world)
        waiting, under_way = submit(world), submit(world)
        take(world, under_way.run_id, now=LATER)
        assert sweep_later(world) == 0
        assert left_of(world) == Spent(98, LIMIT - bound_of(waiting) - bound_of(under_way))

    def test_comes_back_as_long_as_something_is_open(self, world: World) -> None:
        limit(world)
        run = submit(world)
        assert sweep_later(world) == 0
        cancel_run(world.runs, Silent(world.store), TENANT, run.run_id, now=LATER, if_match=None)
        assert sweep_later(world, after=timedelta(minutes=12)) == 1
        assert left_of(world) == Spent(100, LIMIT)


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
        limit(world)
        for _ in range(2):
            assert events.handler(batch(self._said())) == {"batchItemFailures": []}
        assert left_of(world) == Spent(99, LIMIT - 34)

    def test_of_many_events_is_taken_once(self, world: World) -> None:
        limit(world)
        meters = {Meter.TOKENS_IN: 30, Meter.TOKENS_OUT: 4, Meter.REQUESTS: 1}
        data = UsageBatchIngested(period="2026-11", meters=meters, events=97)
        said = happened(data, event_id="acme:in-1:ingested", tenant_id=TENANT, subject="in-1", seq=1, at=LATER)
        for _ in range(2):
            assert events.handler(batch(said, extra={"region": "eu"})) == {"batchItemFailures": []}
        assert left_of(world) == Spent(99, LIMIT - 34)

    def test_is_taken_whatever_is_left(self, world: World) -> None:
        limit(world, 10)
        events.handler(batch(self._said(period="2026-10")))
        assert left_of(world, "2026-10") == Spent(99, -24)
