"""Tests of the consumer function."""

import json
from datetime import UTC, datetime

from services.metering import wiring
from services.metering.counters.domain.amounts import Amounts
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.functions.closer import handler as closer
from services.metering.functions.consumer import handler as consumer
from services.metering.storage.table import StorageTable
from shared.events.envelope import Event, new_event
from shared.events.runs import ArtifactDeleted, ArtifactDownloaded, ArtifactStored
from shared.events.tenants import LimitsState, TenantCreated
from shared.meters import Meter
from shared.plans import LIMITS, Plan
from shared.storage.items import Key
from shared.storage.store import Store
from tests.messages import batch
from tests.services.metering.fixtures import AT, counted, entry, used


def created(*, seq: int = 1, status: str = "active") -> Event[TenantCreated]:
    """Return the event of a new tenant."""
    limits = LimitsState.model_validate(LIMITS[Plan.PRO].to_item())
    payload = TenantCreated.model_validate({"plan": "pro", "status": status, "limits": limits})
    return new_event(payload, event_id="demo-org:created", tenant_id="demo-org", subject="demo-org", seq=seq, at=AT)


class TestCountUsage:
    def test_counts_the_usage_of_a_message(self, slice_store: Store) -> None:
        assert consumer(batch(used())) == {"batchItemFailures": []}
        assert counted(slice_store) == entry(used()).amounts

    def test_counts_the_same_event_once(self, slice_store: Store) -> None:
        for _ in range(2):
            assert consumer(batch(used(), used())) == {"batchItemFailures": []}
        assert counted(slice_store) == entry(used()).amounts

    def test_ignores_an_unknown_field(self, slice_store: Store) -> None:
        assert consumer(batch(used(), extra={"temperature": 1})) == {"batchItemFailures": []}
        assert consumer(batch(used())) == {"batchItemFailures": []}
        assert counted(slice_store) == entry(used()).amounts

    def test_counts_the_rest_of_a_batch_with_a_poison_message(self, slice_store: Store) -> None:
        records = batch(used("run_1"), used("run_2"))
        poison = json.loads(records["Records"][0]["body"])
        poison["detail"]["data"]["meters"] = {"tokens_in": "many"}
        records["Records"][0]["body"] = json.dumps(poison)
        assert consumer(records) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        assert counted(slice_store) == entry(used("run_2")).amounts

    def test_handles_a_batch_of_several_types(self, slice_store: Store) -> None:
        assert consumer(batch(used(), created(), downloaded())) == {"batchItemFailures": []}
        assert counted(slice_store).events == 2
        assert wiring.copies().read("demo-org").plan == "pro"


def downloaded() -> Event[ArtifactDownloaded]:
    """Return the event of a download."""
    payload = ArtifactDownloaded(run_id="run_1", artifact_id="art_1", bytes=4096, agent_id="agt_1")
    return new_event(payload, event_id="run_1:art_1:downloaded:1", tenant_id="demo-org", subject="run_1", seq=1, at=AT)


class TestCountDownloads:
    def test_counts_the_bytes_once(self, slice_store: Store) -> None:
        for _ in range(2):
            assert consumer(batch(downloaded(), downloaded())) == {"batchItemFailures": []}
        assert counted(slice_store) == Amounts(1, 1, meters={Meter.EGRESS_BYTES: 4096})


def artifact(kind: type[ArtifactStored | ArtifactDeleted]) -> Event[ArtifactStored | ArtifactDeleted]:
    """Return the event of a stored or deleted artifact."""
    payload = kind(run_id="run_1", artifact_id="art_1", bytes=4096)
    return new_event(payload, event_id=f"run_1:art_1:{kind.TYPE}", tenant_id="demo-org", subject="run_1", seq=1, at=AT)


class TestChangeStorage:
    def test_tracks_the_bytes_in_the_bucket(self, slice_store: Store) -> None:
        for _ in range(2):
            payload = batch(artifact(ArtifactStored), artifact(ArtifactStored), extra={"sha256": "0"})
            assert consumer(payload) == {"batchItemFailures": []}
        assert StorageTable(slice_store, "demo-org").read().bytes_now == 4096

    def test_accepts_events_in_any_order(self, slice_store: Store) -> None:
        consumer(batch(artifact(ArtifactDeleted), artifact(ArtifactStored)))
        assert StorageTable(slice_store, "demo-org").read().bytes_now == 0


class TestCloser:
    def test_closes_due_hours_and_leaves_the_current_one(self, slice_store: Store) -> None:
        consumer(batch(used("run_1"), used("run_2", at=datetime.now(UTC))))
        closer({})
        [left] = OpenRevisionTable(slice_store, "demo-org").all()
        assert left.revision.hour == entry(used(at=datetime.now(UTC))).hour


class TestUpdateTenant:
    def test_stores_the_state_that_decides_about_access(self, slice_store: Store) -> None:
        assert consumer(batch(created())) == {"batchItemFailures": []}
        assert wiring.copies().read("demo-org").status == "active"
        assert slice_store.get(Key("TENANT#demo-org#USAGE", "COPY#TENANT"))

    def test_an_older_event_changes_nothing(self, slice_store: Store) -> None:
        consumer(batch(created(seq=2), created(seq=1, status="suspended")))
        found = slice_store.get(Key("TENANT#demo-org#USAGE", "COPY#TENANT"))
        assert found
        assert (found["seq"], found["status"]) == (2, "active")
