"""Settlement of reservations, cost limits and ingested usage."""

from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

import pytest

from services.runs.budgets.domain import Reservation, Spent
from services.runs.budgets.operations.settlement import settle
from services.runs.errors import CostUsedUp, ModelWithoutPrice
from services.runs.execution.operations.cancel import cancel_run
from services.runs.execution.operations.recovery import reap
from services.runs.functions import consumer as events
from services.runs.providers.domain.model import UsageUpdate
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.gateway.prices import price_of
from services.runs.runs.domain.run import CallId, Cost, LimitedBy, Status
from shared.events.envelope import Event, new_event
from shared.events.metering import UsageBatchIngested, UsageIngested
from shared.ids import new_id
from shared.meters import Meter, Meters
from tests.messages import batch
from tests.services.runs.budgets.fixtures import (
    ANSWER,
    BUSY,
    CUT,
    LIMIT,
    USED,
    Silent,
    bound_of,
    budget_of,
    crash_after_reserving,
    idempotency_key,
    left_of,
    limit,
    sweep_later,
)
from tests.services.runs.conftest import World, know_version
from tests.services.runs.examples import TENANT
from tests.services.runs.workers import LATER, ScriptedModel, acquire_lease, execute, submit


class TestEndWithoutACall:
    def test_returns_the_request(self, world: World) -> None:
        limit(world)
        run = submit(world)
        cancel_run(world.runs, world.budgets, run.run_id, now=LATER, if_match=None)
        assert left_of(world) == Spent(100, LIMIT)


class TestSettle:
    def test_is_idempotent(self, world: World) -> None:
        limit(world)
        run = submit(world)
        done = execute(world, run, ScriptedModel([ANSWER]))
        settle(world.budgets, run, done)
        assert left_of(world) == Spent(99, LIMIT - 9)

    def test_returns_nothing_for_an_unreserved_call(self, world: World) -> None:
        limit(world)
        run = submit(world)
        other = Reservation(CallId(new_id("run", LATER), 1, 1), 5_000, 0)
        assert not world.budgets.settle("2026-11", other, Spent())
        assert not world.budgets.settle("2026-10", other, Spent())
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_skips_a_reservation_touched_since_it_was_read(self, world: World) -> None:
        limit(world)
        crash_after_reserving(world, idempotency_key())
        [seen] = budget_of(world).open.values()
        run = submit(world, idempotency_key=idempotency_key())
        assert not world.budgets.settle("2026-11", seen, Spent(), unless_touched=True)
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))


class TestReaper:
    def test_keeps_the_bound_of_a_lost_call_deducted(self, world: World) -> None:
        limit(world)
        run = submit(world)
        acquire_lease(world, run.run_id, now=LATER)
        reap(world.all_runs, world.all_budgets, now=LATER + timedelta(minutes=1))
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))
        assert budget_of(world).open == {}

    def test_keeps_the_reservation_of_a_queued_run(self, world: World) -> None:
        limit(world)
        run = submit(world)
        reap(world.all_runs, world.all_budgets, now=LATER + timedelta(minutes=16))
        assert len(budget_of(world).open) == 1
        execute(world, run, ScriptedModel([ANSWER]))
        assert left_of(world) == Spent(99, LIMIT - 9)


class TestSweep:
    def test_releases_the_reservation_of_a_run_that_was_not_stored(self, world: World) -> None:
        limit(world)
        crash_after_reserving(world)
        assert sweep_later(world, after=timedelta(minutes=4)) == 0
        assert sweep_later(world) == 1
        assert left_of(world) == Spent(100, LIMIT)
        assert list(world.all_budgets.queue.entries(now=LATER + timedelta(days=1))) == []

    def test_keeps_a_reservation_that_a_retry_took_over(self, world: World) -> None:
        limit(world)
        crash_after_reserving(world, idempotency_key())
        run = submit(world, idempotency_key=idempotency_key(), now=LATER + timedelta(minutes=5, seconds=59))
        assert sweep_later(world) == 0
        assert left_of(world) == Spent(99, LIMIT - bound_of(run))

    def test_settles_an_unsettled_call_by_its_run(self, world: World) -> None:
        limit(world)
        run = submit(world)
        acquire_lease(world, run.run_id, now=LATER)
        dying = replace(world, budgets=Silent(world.store, TENANT))
        reap(world.all_runs, dying.all_budgets, now=LATER + timedelta(minutes=1))
        execute(dying, run, ScriptedModel([ANSWER]))
        assert len(budget_of(world).open) == 2
        assert sweep_later(world) == 2
        assert left_of(world) == Spent(99, LIMIT - bound_of(run) - 9)

    def test_keeps_queued_and_active_calls_open(self, world: World) -> None:
        limit(world)
        waiting, under_way = submit(world), submit(world)
        acquire_lease(world, under_way.run_id, now=LATER)
        assert sweep_later(world) == 0
        assert left_of(world) == Spent(98, LIMIT - bound_of(waiting) - bound_of(under_way))

    def test_repeats_while_calls_are_open(self, world: World) -> None:
        limit(world)
        run = submit(world)
        assert sweep_later(world) == 0
        cancel_run(world.runs, Silent(world.store, TENANT), run.run_id, now=LATER, if_match=None)
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

    def test_limits_the_output_cap(self, world: World) -> None:
        run = submit(world, price=self._price, max_cost_nano_usd=1_000 * self.PRICE)
        assert run.open_call is not None
        assert run.limited_by is LimitedBy.MAX_COST
        assert run.open_call.bound_tokens == 1_000
        assert run.open_call.bound_nano_usd == 1_000 * self.PRICE

    def test_does_not_limit_an_affordable_cap(self, world: World) -> None:
        assert submit(world, price=self._price, max_cost_nano_usd=10**9).limited_by is None

    def test_refuses_when_the_input_alone_may_cost_more(self, world: World) -> None:
        with pytest.raises(CostUsedUp):
            submit(world, price=self._price, max_cost_nano_usd=500 * self.PRICE)

    def test_leaves_later_calls_the_remainder(self, world: World) -> None:
        run = submit(world, price=self._price, max_cost_nano_usd=2_000 * self.PRICE)
        models = ScriptedModel([[UsageUpdate(USED), BUSY], ANSWER])
        done = execute(world, run, models, price=self._price)
        assert [request.max_output_tokens for request in models.requests] == [
            models.requests[0].max_output_tokens,
            models.requests[0].max_output_tokens - 9,
        ]
        assert (done.status, done.cost_nano_usd) == (Status.COMPLETED, 18 * self.PRICE)

    def test_charges_a_truncated_call_its_bound(self, world: World) -> None:
        run = submit(world, price=self._price, max_cost_nano_usd=2_000 * self.PRICE)
        done = execute(world, run, ScriptedModel([[UsageUpdate(USED), CUT], ANSWER]), price=self._price)
        assert done.error is not None
        assert (done.error.code, len(done.calls), done.left_nano_usd) == ("LimitReached", 1, 0)

    @pytest.mark.parametrize("config", [{"model": "mystery"}, {"fallbacks": ["mystery"]}])
    def test_requires_a_price_for_every_model(self, world: World, config: dict[str, object]) -> None:
        version = know_version(world, 2, **config)
        with pytest.raises(ModelWithoutPrice):
            submit(world, version=version, price=self._price, max_cost_nano_usd=10**9)


class TestOwnPrice:
    """The tenant's own price limits the runs at a server of its own."""

    CONFIG = MappingProxyType(
        {
            "model": "llama",
            "base_url": "https://llm.example",
            "price": {"input_per_million_usd": "1", "output_per_million_usd": "1"},
        }
    )

    def test_limits_the_output_cap_and_is_charged(self, world: World) -> None:
        version = know_version(world, 2, **self.CONFIG)
        run = submit(world, version=version, price=price_of, max_cost_nano_usd=1_000 * 1_000)
        assert run.open_call is not None
        assert (run.limited_by, run.open_call.bound_nano_usd) == (LimitedBy.MAX_COST, 1_000 * 1_000)
        done = execute(world, run, ScriptedModel([ANSWER]), price=price_of)
        spent = sum(USED.values())
        [call] = done.calls
        assert (done.cost_nano_usd, call.price_version, call.price_source) == (spent * 1_000, "own", "own")

    def test_is_needed_for_a_cost_limit_there(self, world: World) -> None:
        version = know_version(world, 2, **{**self.CONFIG, "price": None})
        with pytest.raises(ModelWithoutPrice):
            submit(world, version=version, price=price_of, max_cost_nano_usd=10**9)


class TestIngestedUsage:
    def _payload(self, tokens: int = 30, *, period: str = "2026-11", tenant_id: str = TENANT) -> Event[UsageIngested]:
        meters = {Meter.TOKENS_IN: tokens, Meter.TOKENS_OUT: 4, Meter.REQUESTS: 1}
        data = UsageIngested(event_id="e1", source="/batch", meters=meters, period=period)
        name = f"{tenant_id}:e1:ingested"
        return new_event(data, event_id=name, tenant_id=tenant_id, subject="e1", seq=1, at=LATER)

    def test_is_deducted_from_its_month_once(self, world: World) -> None:
        limit(world)
        for _ in range(2):
            assert events.handler(batch(self._payload())) == {"batchItemFailures": []}
        assert left_of(world) == Spent(99, LIMIT - 34)

    def test_is_deducted_once_for_a_batch(self, world: World) -> None:
        limit(world)
        meters = {Meter.TOKENS_IN: 30, Meter.TOKENS_OUT: 4, Meter.REQUESTS: 1}
        data = UsageBatchIngested(period="2026-11", meters=meters, events=97)
        payload = new_event(data, event_id="acme:in-1:ingested", tenant_id=TENANT, subject="in-1", seq=1, at=LATER)
        for _ in range(2):
            assert events.handler(batch(payload, extra={"region": "eu"})) == {"batchItemFailures": []}
        assert left_of(world) == Spent(99, LIMIT - 34)

    def test_is_deducted_regardless_of_the_remainder(self, world: World) -> None:
        limit(world, 10)
        events.handler(batch(self._payload(period="2026-10")))
        assert left_of(world, "2026-10") == Spent(99, -24)
