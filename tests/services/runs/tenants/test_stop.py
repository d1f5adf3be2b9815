"""The stop of the runs of a tenant that is being deleted."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count, pairwise

from services.runs.execution.operations.recovery import reap
from services.runs.functions import consumer as events
from services.runs.partitions import SLICE
from services.runs.runs.domain.run import Status
from services.runs.tenants.domain import QUIET_PERIOD
from services.runs.tenants.operations import finish_stops
from shared.copies.tenant_access import TenantAccessCopies
from shared.events.envelope import Event, new_event
from shared.events.tenants import LimitsState, TenantDeletionRequested
from shared.ids import new_id
from shared.plans import LIMITS, Plan
from shared.storage.quarantine import MAX_FAILURES
from shared.storage.transaction import PRESENT, Expression
from shared.sweep import Swept
from shared.times import utc_now
from tests.messages import batch
from tests.services.runs.conftest import World
from tests.services.runs.examples import NOW, RUN_ID, TENANT, submitted
from tests.services.runs.workers import acquire_lease, under_way


def requested() -> Event[TenantDeletionRequested]:
    limits = LimitsState.model_validate(LIMITS[Plan.PRO].to_item())
    payload = TenantDeletionRequested(plan=Plan.PRO, status="deleting", limits=limits)
    return new_event(payload, event_id="going", tenant_id=TENANT, subject=TENANT, seq=2, at=NOW)


def words(world: World) -> list[str]:
    items = world.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")}))
    return [json.loads(str(item["event"]))["type"] for item in items if "runs_stopped" in str(item["event"])]


def add_runs(world: World, number: int, *, first: int = 0) -> list[str]:
    """Add runs, one per second; return their ids, oldest first."""
    run_ids = [new_id("run", NOW + timedelta(seconds=first + later)) for later in range(number)]
    for run_id in run_ids:
        run, payload = submitted(run_id=run_id)
        world.runs.create(run, payload, idempotency_key=None)
    return run_ids


def finish(world: World, *, now: datetime, monotonic: Callable[[], float] = time.monotonic) -> Swept:
    return finish_stops(world.store, world.all_runs, world.all_budgets, now=now, monotonic=monotonic)


def ticking() -> Callable[[], float]:
    """Return a clock that advances by a second per read."""
    seconds = count()
    return lambda: next(seconds)


class TestStopRuns:
    def test_cancels_active_runs_and_publishes_when_no_more_can_come(self, world: World) -> None:
        run, payload = submitted()
        world.runs.create(run, payload, idempotency_key=None)
        for _ in range(2):
            assert events.handler(batch(requested())) == {"batchItemFailures": []}
        assert TenantAccessCopies(world.store).read(TENANT).status == "deleting"
        now = utc_now()
        assert len(finish(world, now=now).results) == 0
        assert world.runs.get(RUN_ID).status is Status.CANCELLED
        assert len(finish(world, now=now + timedelta(seconds=1)).results) == 0
        assert len(finish(world, now=now + QUIET_PERIOD).results) == 1
        assert len(finish(world, now=now + QUIET_PERIOD).results) == 0
        assert words(world) == ["tenant.runs_stopped.v1"]

    def test_waits_for_a_worker_to_stop(self, world: World) -> None:
        run, payload = submitted()
        world.runs.create(run, payload, idempotency_key=None)
        acquire_lease(world, RUN_ID, now=NOW)
        events.handler(batch(requested()))
        later = utc_now() + QUIET_PERIOD
        assert len(finish(world, now=later).results) == 0
        there = world.runs.get(RUN_ID)
        assert (there.status, there.cancel_requested) == (Status.RUNNING, True)
        assert words(world) == []

    def test_skips_a_run_that_cannot_be_read(self, world: World) -> None:
        run, payload = submitted()
        world.runs.create(run, payload, idempotency_key=None)
        damage = Expression("SET #status = :no", {"no": "damaged"})
        world.store.try_update(world.runs.key(RUN_ID), damage, when=PRESENT)
        events.handler(batch(requested()))
        later = utc_now() + QUIET_PERIOD
        swept = finish(world, now=later)
        assert (swept.failed, swept.results) == (0, [])
        for tries in range(MAX_FAILURES):
            reap(world.all_runs, world.all_budgets, now=later + timedelta(minutes=16 * tries))
        later += timedelta(hours=2)
        assert finish(world, now=later).results == [TENANT]
        assert words(world) == ["tenant.runs_stopped.v1"]

    def test_uses_at_most_ten_seconds_and_continues_in_the_next_sweep(self, world: World) -> None:
        run_ids = add_runs(world, 20)
        events.handler(batch(requested()))
        now, left, results = utc_now() + QUIET_PERIOD, [20], list[str]()
        while not results:
            assert len(left) < 12
            now += timedelta(seconds=10)
            results = finish(world, now=now, monotonic=ticking()).results
            left.append(len(under_way(world.runs)))
        assert all(before - after <= 9 for before, after in pairwise(left))
        assert {world.runs.get(run_id).status for run_id in run_ids} == {Status.CANCELLED}

    def test_checks_a_run_until_it_has_ended(self, world: World) -> None:
        run_ids, now = add_runs(world, 20), utc_now() + QUIET_PERIOD
        acquire_lease(world, run_ids[-1], now=now)
        events.handler(batch(requested()))
        for _ in range(6):
            now += timedelta(seconds=10)
            assert finish(world, now=now).results == []
            assert under_way(world.runs) == run_ids[-1:]
        assert reap(world.all_runs, world.all_budgets, now=now).results == run_ids[-1:]
        assert finish(world, now=now + QUIET_PERIOD).results == [TENANT]

    def test_finds_a_run_added_during_the_check(self, world: World) -> None:
        add_runs(world, 20)
        events.handler(batch(requested()))
        now = utc_now()
        for _ in range(3):
            finish(world, now=now, monotonic=ticking())
            now += timedelta(seconds=10)
        [late] = add_runs(world, 1, first=20)
        for _ in range(8):
            finish(world, now=now, monotonic=ticking())
            now += timedelta(seconds=10)
        assert world.runs.get(late).status is Status.CANCELLED

    def test_keeps_other_tenants_runs(self, world: World) -> None:
        run, payload = submitted()
        world.runs.create(run, payload, idempotency_key=None)
        assert under_way(world.all_runs.of("demo-org2")) == []
        assert under_way(world.all_runs.of("demo")) == []
        assert under_way(world.runs) == [RUN_ID]
