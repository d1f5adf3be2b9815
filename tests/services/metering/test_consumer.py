"""The queue of the metering service."""

import json
from datetime import UTC, datetime

from services.metering import wiring
from services.metering.consumer.usage import closer, consumer
from services.metering.domain.usage import Amounts
from services.metering.table import counters, storage
from shared.events.envelope import Event, happened
from shared.events.runs import ArtifactDeleted, ArtifactDownloaded, ArtifactStored
from shared.events.tenants import LimitsState, TenantCreated
from shared.meters import Meter
from shared.plans import LIMITS, Plan
from shared.storage.items import Key
from shared.storage.store import Store
from tests.messages import batch
from tests.services.metering.usage import AT, counted, entry, used


def created(*, seq: int = 1, status: str = "active") -> Event[TenantCreated]:
    """A tenant exists."""
    limits = LimitsState.model_validate(LIMITS[Plan.PRO].to_item())
    said = TenantCreated.model_validate({"plan": "pro", "status": status, "limits": limits})
    return happened(said, event_id="demo-org:created", tenant_id="demo-org", subject="demo-org", seq=seq, at=AT)


class TestCountUsage:
    def test_counts_what_the_queue_brings(self, slice_store: Store) -> None:
        assert consumer(batch(used())) == {"batchItemFailures": []}
        assert counted(slice_store) == entry(used()).amounts

    def test_counts_the_same_event_once(self, slice_store: Store) -> None:
        for _ in range(2):
            assert consumer(batch(used(), used())) == {"batchItemFailures": []}
        assert counted(slice_store) == entry(used()).amounts

    def test_ignores_a_field_that_it_does_not_know(self, slice_store: Store) -> None:
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

    def test_handles_the_rest_of_a_batch_of_several_kinds(self, slice_store: Store) -> None:
        assert consumer(batch(used(), created(), downloaded())) == {"batchItemFailures": []}
        assert counted(slice_store).events == 2
        assert wiring.copies().read("demo-org").plan == "pro"


def downloaded() -> Event[ArtifactDownloaded]:
    """A URL was given out."""
    said = ArtifactDownloaded(run_id="run_1", artifact_id="art_1", bytes=4096, agent_id="agt_1")
    return happened(said, event_id="run_1:art_1:downloaded:1", tenant_id="demo-org", subject="run_1", seq=1, at=AT)


class TestCountDownloads:
    def test_counts_the_bytes_once(self, slice_store: Store) -> None:
        for _ in range(2):
            assert consumer(batch(downloaded(), downloaded())) == {"batchItemFailures": []}
        assert counted(slice_store) == Amounts(1, 1, meters={Meter.EGRESS_BYTES: 4096})


def artifact(kind: type[ArtifactStored | ArtifactDeleted]) -> Event[ArtifactStored | ArtifactDeleted]:
    """An object of a run came or went."""
    said = kind(run_id="run_1", artifact_id="art_1", bytes=4096)
    return happened(said, event_id=f"run_1:art_1:{kind.TYPE}", tenant_id="demo-org", subject="run_1", seq=1, at=AT)


class TestChangeStorage:
    def test_knows_what_lies_in_the_bucket(self, slice_store: Store) -> None:
        for _ in range(2):
            said = batch(artifact(ArtifactStored), artifact(ArtifactStored), extra={"sha256": "0"})
            assert consumer(said) == {"batchItemFailures": []}
        assert storage.read(slice_store, "demo-org").bytes_now == 4096

    def test_in_any_order(self, slice_store: Store) -> None:
        consumer(batch(artifact(ArtifactDeleted), artifact(ArtifactStored)))
        assert storage.read(slice_store, "demo-org").bytes_now == 0


class TestCloser:
    def test_closes_what_is_due_and_leaves_the_hour_that_runs(self, slice_store: Store) -> None:
        consumer(batch(used("run_1"), used("run_2", at=datetime.now(UTC))))
        closer({})
        [left] = counters.list_opened(slice_store, "demo-org")
        assert left.revision.hour == entry(used(at=datetime.now(UTC))).hour


class TestKeepTenant:
    def test_keeps_what_decides_about_access(self, slice_store: Store) -> None:
        assert consumer(batch(created())) == {"batchItemFailures": []}
        assert wiring.copies().read("demo-org").status == "active"
        assert slice_store.get(Key("TENANT#demo-org#USAGE", "COPY#TENANT"))

    def test_an_older_event_changes_nothing(self, slice_store: Store) -> None:
        consumer(batch(created(seq=2), created(seq=1, status="suspended")))
        found = slice_store.get(Key("TENANT#demo-org#USAGE", "COPY#TENANT"))
        assert found
        assert (found["seq"], found["status"]) == (2, "active")
