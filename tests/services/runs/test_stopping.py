"""All runs of a tenant that is being deleted end, and then that is said, once."""

import json
from datetime import timedelta

from services.runs.consumer import events
from services.runs.domain.run import Status
from services.runs.domain.stop import QUIET
from services.runs.operations.stopping import finish_stops
from services.runs.table import SLICE
from shared.copies.tenant_access import TenantAccessCopies
from shared.events.envelope import Event, happened
from shared.events.tenants import LimitsState, TenantDeletionRequested
from shared.plans import LIMITS, Plan
from shared.storage.transaction import Expression
from shared.times import utc_now
from tests.messages import batch
from tests.services.runs.conftest import World
from tests.services.runs.runs import NOW, RUN_ID, TENANT, submitted
from tests.services.runs.work import take


def requested() -> Event[TenantDeletionRequested]:
    limits = LimitsState.model_validate(LIMITS[Plan.PRO].to_item())
    said = TenantDeletionRequested(plan=Plan.PRO, status="deleting", limits=limits)
    return happened(said, event_id="going", tenant_id=TENANT, subject=TENANT, seq=2, at=NOW)


def words(world: World) -> list[str]:
    items = world.store.query_all(Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")}))
    return [json.loads(str(item["event"]))["type"] for item in items if "runs_stopped" in str(item["event"])]


class TestStopRuns:
    def test_cancels_what_waits_and_says_so_when_nothing_can_come_any_more(self, world: World) -> None:
        run, said = submitted()
        world.runs.add(run, said, once=None)
        for _ in range(2):
            assert events.handler(batch(requested())) == {"batchItemFailures": []}
        assert TenantAccessCopies(world.store).read(TENANT).status == "deleting"
        now = utc_now()
        assert len(finish_stops(world.store, world.runs, world.budgets, now=now).results) == 0
        assert world.runs.get(TENANT, RUN_ID).status is Status.CANCELLED
        assert len(finish_stops(world.store, world.runs, world.budgets, now=now + timedelta(seconds=1)).results) == 0
        assert len(finish_stops(world.store, world.runs, world.budgets, now=now + QUIET).results) == 1
        assert len(finish_stops(world.store, world.runs, world.budgets, now=now + QUIET).results) == 0
        assert words(world) == ["tenant.runs_stopped.v1"]

    def test_waits_for_a_worker_to_hear_of_it(self, world: World) -> None:
        run, said = submitted()
        world.runs.add(run, said, once=None)
        take(world, RUN_ID, now=NOW)
        events.handler(batch(requested()))
        later = utc_now() + QUIET
        assert len(finish_stops(world.store, world.runs, world.budgets, now=later).results) == 0
        there = world.runs.get(TENANT, RUN_ID)
        assert (there.status, there.cancel_requested) == (Status.RUNNING, True)
        assert words(world) == []

    def test_lets_the_runs_of_others_go_on(self, world: World) -> None:
        run, said = submitted()
        world.runs.add(run, said, once=None)
        assert list(world.runs.under_way("demo-org2")) == []
        assert list(world.runs.under_way("demo")) == []
        assert list(world.runs.under_way(TENANT)) == [RUN_ID]
