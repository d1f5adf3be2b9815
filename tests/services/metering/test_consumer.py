"""The queue of the metering service."""

import json
from datetime import date

from services.metering import domain, table, wiring
from services.metering.consumer import consumer
from services.metering.domain import Amounts, Days
from shared.events.envelope import Event, happened
from shared.events.tenants import LimitsState, TenantCreated
from shared.plans import LIMITS, Plan
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression
from tests.messages import batch
from tests.services.metering.usage import AT, used


def created(*, seq: int = 1, status: str = "active") -> Event[TenantCreated]:
    """A tenant exists."""
    limits = LimitsState.model_validate(LIMITS[Plan.PRO].to_item())
    said = TenantCreated.model_validate({"plan": "pro", "status": status, "limits": limits})
    return happened(said, event_id="demo-org:created", tenant_id="demo-org", subject="demo-org", seq=seq, at=AT)


def counted(store: Store) -> list[Amounts]:
    """The totals of the month."""
    days = Days(date(2026, 11, 1), date(2026, 12, 1))
    return [amounts for _, amounts in table.read_counters(store, "demo-org", days, by_dimensions=False)]


class TestCountUsage:
    def test_counts_what_the_queue_brings(self, slice_store: Store) -> None:
        assert consumer(batch(used())) == {"batchItemFailures": []}
        assert counted(slice_store) == [domain.entry_of(used()).amounts]

    def test_counts_the_same_event_once(self, slice_store: Store) -> None:
        for _ in range(2):
            assert consumer(batch(used(), used())) == {"batchItemFailures": []}
        assert counted(slice_store) == [domain.entry_of(used()).amounts]

    def test_ignores_a_field_that_it_does_not_know(self, slice_store: Store) -> None:
        assert consumer(batch(used(), extra={"temperature": 1})) == {"batchItemFailures": []}
        assert consumer(batch(used())) == {"batchItemFailures": []}
        assert counted(slice_store) == [domain.entry_of(used()).amounts]

    def test_counts_the_rest_of_a_batch_with_a_poison_message(self, slice_store: Store) -> None:
        records = batch(used("run_1"), used("run_2"))
        poison = json.loads(records["Records"][0]["body"])
        poison["detail"]["data"]["meters"] = {"tokens_in": "many"}
        records["Records"][0]["body"] = json.dumps(poison)
        assert consumer(records) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        assert counted(slice_store) == [domain.entry_of(used("run_2")).amounts]

    def test_gives_back_usage_of_a_closed_hour(self, slice_store: Store) -> None:
        entry = domain.entry_of(used())
        key = Key(table.SLICE.key("demo-org", "MONTH", "2026-11", str(entry.shard)), "TOTAL#2026-11-22T23")
        slice_store.update(key, Expression("SET #closed = :yes", {"yes": True}), when=ABSENT)
        assert consumer(batch(used(), created())) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
        assert wiring.copies().read("demo-org").plan == "pro"


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
