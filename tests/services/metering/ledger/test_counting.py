"""Tests of counting exactly once, with duplicates, any order and faults."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR, Revision
from services.metering.counters.table.rows import SeenRows
from services.metering.errors import InvocationTimeExceeded
from services.metering.hours.operations import closing
from services.metering.ingestion import operations as ingestion
from services.metering.ledger.domain.entries import Origin, UsageKind
from services.metering.partitions import SLICE
from services.metering.usage.domain import GroupBy
from shared.deadline import invocation
from shared.errors import DependencyUnavailable
from shared.meters import OF_CALLS, Meter
from shared.storage.items import Reader
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.conflicts import ConflictingDynamoDB
from tests.dynamodb.memory import MemoryDynamoDB
from tests.invocations import FakeLambdaContext
from tests.services.metering.fixtures import (
    AT,
    Usage,
    close_due,
    count,
    counted,
    deliver,
    entry,
    expected,
    rows,
    sum_of,
    used,
)
from tests.services.metering.scripted import FINE, LOST_REQUEST, LOST_RESPONSE, Scripted

TENANTS = ("demo-org", "demo-org2")
LATER = datetime(2026, 12, 1, 1, tzinfo=UTC)

moments = st.sampled_from(
    [
        datetime(2026, 11, 22, 22, 59, 59, 999_000, UTC),
        datetime(2026, 11, 22, 23, 0, tzinfo=UTC),
        datetime(2026, 11, 30, 23, 59, 59, 999_999, UTC),
        datetime(2026, 12, 1, tzinfo=UTC),
    ]
)
events = st.builds(
    used,
    st.integers(0, 40).map("run_{}".format),
    tenant_id=st.sampled_from(TENANTS),
    at=moments,
    meters=st.dictionaries(st.sampled_from(OF_CALLS), st.integers(0, 10**12)),
    cost_nano_usd=st.none() | st.integers(0, 10**12),
    agent_id=st.sampled_from(["agt_1", "agt_2"]),
    model=st.sampled_from(["gpt-4", "a#b", "ä/🙂"]),
    project_id=st.none() | st.just("prj_1"),
)


@st.composite
def deliveries(draw: st.DrawFn, *, conflicts: bool) -> list[list[Usage]]:
    """Draw batches of events, with duplicates, in any order."""
    facts = draw(st.lists(events, max_size=45, unique_by=_content if conflicts else _identity))
    again = draw(st.lists(st.sampled_from(facts), max_size=20)) if facts else []
    order = draw(st.permutations([*facts, *again]))
    size = draw(st.integers(1, 50))
    return [order[start : start + size] for start in range(0, len(order), size)]


def _identity(event: Usage) -> tuple[str, str]:
    return event.tenant_id, event.id


def _content(event: Usage) -> tuple[str, str]:
    return event.tenant_id, event.model_dump_json()


def memory_store(memory: MemoryDynamoDB) -> Store:
    """Return the slice in this table."""
    return Store(memory, table="usage", owned=SLICE, sleep=lambda _: None)


faults = st.lists(st.sampled_from([FINE, LOST_RESPONSE, LOST_REQUEST]), max_size=20)


class TestCount:
    @settings(deadline=None)  # a slow machine is no failure
    @given(deliveries(conflicts=False), faults)
    def test_counts_each_event_once(self, batches: list[list[Usage]], faults: list[str]) -> None:
        store = Scripted(faults).store
        deliver(store, batches, now=LATER)
        facts = [event for batch in batches for event in batch]
        for tenant_id in TENANTS:
            assert counted(store, tenant_id) == expected(facts, tenant_id)
            assert counted(store, tenant_id, group_by=GroupBy.AGENT) == expected(facts, tenant_id)

    @settings(deadline=None)
    @given(deliveries(conflicts=False))
    def test_groups_and_days_are_the_sums_of_their_events(self, batches: list[list[Usage]]) -> None:
        store = memory_store(MemoryDynamoDB())
        deliver(store, batches, now=LATER)
        facts = {_identity(event): event for batch in batches for event in batch if event.tenant_id == "demo-org"}
        entries = [entry(event) for event in facts.values()]
        found = rows(store, group_by=GroupBy.MODEL)
        for row in found:
            of_row = [e for e in entries if (e.occurred_at.date(), e.dimensions.model) == (row.start, row.group)]
            assert row.amounts == sum_of(one.amounts for one in of_row)
        assert sum(row.amounts.events for row in found) == len(entries)

    @settings(deadline=None)
    @given(deliveries(conflicts=True), faults)
    def test_counters_are_the_sum_of_the_ledger_even_with_conflicts(
        self, batches: list[list[Usage]], faults: list[str]
    ) -> None:
        table = Scripted(faults)
        deliver(table.store, batches, now=LATER)
        for tenant_id in TENANTS:
            facts = [entry(event) for batch in batches for event in batch if event.tenant_id == tenant_id]
            hashes = {Reader(item).text("content_hash") for item in table.items(f"TENANT#{tenant_id}#USAGE#EVENT#")}
            ledger = {one.content_hash: one for one in facts if one.content_hash in hashes}
            assert {one.event_id for one in ledger.values()} == {one.event_id for one in facts}
            assert counted(table.store, tenant_id) == sum_of(one.amounts for one in ledger.values())
            quarantined = {Reader(item).text("SK") for item in table.items(f"TENANT#{tenant_id}#USAGE#ASIDE#")}
            assert quarantined == {one.content_hash for one in facts} - hashes

    def test_uses_one_transaction_per_tenant_and_batch(self) -> None:
        memory, seen = MemoryDynamoDB(), SeenRows()
        for number in range(30):  # on all shards
            count(memory_store(memory), used(f"run_a{number}"), seen=seen)
        before, carried_out = memory.calls, memory.transactions
        count(memory_store(memory), *(used(f"run_{number}") for number in range(1, 11)), seen=seen)
        # The other call tries to acquire the summary lease.
        assert (memory.calls, memory.transactions) == (before + 2, carried_out + 1)

    def test_a_new_container_reads_the_existing_rows_once(self) -> None:
        memory = MemoryDynamoDB()
        for number in range(30):
            count(memory_store(memory), used(f"run_a{number}"))
        before, carried_out = memory.calls, memory.transactions
        count(memory_store(memory), *(used(f"run_{number}") for number in range(1, 11)))
        assert (memory.calls, memory.transactions) == (before + 3, carried_out + 1)

    def test_splits_a_large_batch(self) -> None:
        memory = MemoryDynamoDB()
        many = [used(f"run_{n}", agent_id=f"agt_{n}", at=AT - timedelta(hours=n)) for n in range(100)]
        assert count(memory_store(memory), *many) == {}
        assert counted(memory_store(memory)).events == 100

    def test_returns_the_events_to_redeliver(self) -> None:
        table = Scripted([])
        count(table.store, used("run_0"), used("run_0", tenant_id="demo-org2"))
        table.next_faults(
            [FINE, LOST_REQUEST]
        )  # within the summary interval, so these are the two counting transactions
        failed = count(table.store, used("run_1"), used("run_2", tenant_id="demo-org2"))
        assert list(failed) == ["run_2:1:1"]
        assert isinstance(failed["run_2:1:1"], DependencyUnavailable)
        assert counted(table.store, "demo-org").events == 2

    def test_returns_events_for_which_no_time_was_left(self) -> None:
        store = memory_store(MemoryDynamoDB())
        with invocation(FakeLambdaContext(0)):
            failed = count(store, used("run_1"), used("run_2"))
        assert {type(error) for error in failed.values()} == {InvocationTimeExceeded}
        assert count(store, used("run_1"), used("run_2")) == {}
        assert counted(store).events == 2

    @pytest.mark.parametrize("age", [timedelta(days=35, hours=1), timedelta(days=300)])
    def test_quarantines_usage_older_than_35_days(self, age: timedelta) -> None:
        memory = MemoryDynamoDB()
        store = memory_store(memory)
        assert count(store, used("run_1", at=AT - age), used("run_2"), now=AT) == {}
        [quarantined] = memory.items("TENANT#demo-org#USAGE#ASIDE#")
        assert (quarantined["because"], Reader(quarantined).map("entry").text("eventId")) == ("too_old", "run_1:1:1")
        assert counted(store).events == 1

    def test_reports_quarantined_usage_of_our_own_services(self, log_lines: Callable[[], list[dict[str, Any]]]) -> None:
        """An alarm watches the metric. Reported usage is excluded, since the response contains its status."""
        store = memory_store(MemoryDynamoDB())
        for requests in (1, 2):
            count(store, used("run_1", meters={Meter.REQUESTS: requests}))
            reported = replace(
                entry(used("run_2", meters={Meter.REQUESTS: requests})), origin=Origin(UsageKind.REPORTED)
            )
            ingestion.count_of_tenant(store, "demo-org", [reported], now=AT)
        payload = [line for line in log_lines() if line["message"] == "usage quarantined"]
        assert [(line["event_id"], line["because"], line["UncountedUsage"]) for line in payload] == [
            ("run_1:1:1", "conflict", 1),
            ("run_2:1:1", "conflict", 0),
        ]

    def test_entries_expire_after_90_days(self) -> None:
        memory = MemoryDynamoDB()
        count(memory_store(memory), used())
        [item] = memory.items("TENANT#demo-org#USAGE#EVENT#")
        assert item["ttl"] == int((AT + timedelta(days=90)).timestamp())


class TestCountInClosedHour:
    def test_goes_into_a_correction(self) -> None:
        memory = MemoryDynamoDB()
        store = memory_store(memory)
        hour = entry(used()).hour
        count(store, used("run_1"))
        closing.close(store, "demo-org", Revision(hour), now=hour + HOUR + GRACE_PERIOD)
        late = [used("run_1"), used("run_2", at=AT + HOUR), *(used(f"run_{number}") for number in range(3, 30))]
        assert count(store, *late) == {}
        revisions = {item["eventId"]: item["revision"] for item in memory.items("TENANT#demo-org#USAGE#EVENT#")}
        assert revisions.pop("run_1:1:1") == revisions.pop("run_2:1:1") == 0
        assert set(revisions.values()) == {1}
        assert counted(store) == expected(late)


class TestUnderMoto:
    """Counting with moto's condition and update expressions."""

    def test_counts_a_batch_with_duplicates_once(self, store: Store) -> None:
        batch = [used("run_1"), used("run_2", cost_nano_usd=None), used("run_1"), used("run_3", meters={})]
        assert count(store, *batch) == {}
        assert counted(store) == expected(batch)
        assert counted(store, group_by=GroupBy.AGENT) == expected(batch)

    def test_counts_new_events_of_a_redelivered_batch(self, store: Store) -> None:
        first = [used(f"run_{number}") for number in range(3)]
        count(store, *first)
        second = [*first[1:], *(used(f"run_{number}") for number in range(10, 13))]
        assert count(store, *second) == {}
        assert counted(store) == expected([*first, *second])

    def test_quarantines_a_conflict(self, store: Store) -> None:
        count(store, used("run_1", cost_nano_usd=1))
        other = used("run_1", cost_nano_usd=2)
        assert count(store, other, used("run_2", cost_nano_usd=10)) == {}
        assert count(store, other) == {}
        assert counted(store).cost_nano_usd == 11
        [quarantined] = store.query_all(Expression("#PK = :pk", {"pk": SLICE.key("demo-org", "ASIDE", "run_1:1:1")}))
        assert (quarantined["SK"], quarantined["because"]) == (entry(other).content_hash, "conflict")
        assert Reader(quarantined).map("entry").integer("cost_nano_usd") == 2
        assert "tenantId" not in quarantined

    def test_counts_two_tenants_of_one_batch_separately(self, store: Store) -> None:
        batch = [used("run_1"), used("run_1", tenant_id="demo-org2", cost_nano_usd=5), used("run_2")]
        assert count(store, *batch) == {}
        for tenant_id in TENANTS:
            assert counted(store, tenant_id) == expected(batch, tenant_id)

    def test_counts_usage_after_closing(self, store: Store) -> None:
        count(store, used("run_1"))
        closing.close(store, "demo-org", Revision(entry(used()).hour), now=LATER)
        assert count(store, used("run_1"), used("run_2"), now=LATER) == {}
        assert counted(store) == expected([used("run_1"), used("run_2")])


class TestConcurrency:
    def test_overlapping_consumers_count_each_event_once_during_closing(self) -> None:
        client = ConflictingDynamoDB(MemoryDynamoDB(), hold_s=0.001)
        store = Store(client, table="usage", owned=SLICE)
        batches = [[used(f"run_{batch}_{number}") for number in range(10)] for batch in range(40)]
        with ThreadPoolExecutor(8) as pool:
            counting = [pool.submit(count, store, *batch, now=AT) for batch in (*batches, *batches[::3])]
            closed = pool.submit(close_due, store, now=LATER)
            assert [one.result() for one in counting] == [{}] * len(counting)
        close_due(store, now=LATER)
        facts = [event for batch in batches for event in batch]
        assert closed.result() >= 0
        assert client.cancelled > 0
        assert counted(store) == expected(facts)
        assert counted(store, group_by=GroupBy.AGENT) == expected(facts)
