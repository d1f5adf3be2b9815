"""Counting exactly once, whatever is delivered how often, in whatever order, and whatever fails."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.metering import domain, operations, table
from services.metering.domain import Amounts, Days, GroupBy, Period
from services.metering.errors import HourClosed
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event
from shared.events.runs import UsageRecorded
from shared.meters import Meter
from shared.storage.items import Reader
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from tests.services.metering.memory import FINE, LOST_ANSWER, LOST_REQUEST, MemoryTable
from tests.services.metering.usage import AT, used

Usage = Event[UsageRecorded]
TENANTS = ("demo-org", "demo-org2")
ALL_DAYS = Days(date(2026, 11, 1), date(2027, 1, 1))

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
    meters=st.dictionaries(st.sampled_from(Meter), st.integers(0, 10**12)),
    cost_nano_usd=st.none() | st.integers(0, 10**12),
    agent_id=st.sampled_from(["agt_1", "agt_2"]),
    model=st.sampled_from(["gpt-4", "a#b", "ä/🙂"]),
    project_id=st.none() | st.just("prj_1"),
)


@st.composite
def deliveries(draw: st.DrawFn, *, conflicts: bool) -> list[list[Usage]]:
    """Batches with different events, some of them several times, in any order."""
    facts = draw(st.lists(events, max_size=45, unique_by=_content if conflicts else _identity))
    again = draw(st.lists(st.sampled_from(facts), max_size=20)) if facts else []
    order = draw(st.permutations([*facts, *again]))
    size = draw(st.integers(1, 50))
    return [order[start : start + size] for start in range(0, len(order), size)]


def _identity(event: Usage) -> tuple[str, str]:
    return event.tenant_id, event.id


def _content(event: Usage) -> tuple[str, str]:
    return event.tenant_id, event.model_dump_json()


def deliver(store: Store, batches: Iterable[Sequence[Usage]]) -> None:
    """Hand over batches as a queue does: what failed comes again."""
    waiting = [list(batch) for batch in batches]
    while waiting:
        batch = waiting.pop(0)
        failed = operations.count_usage(store, batch)
        if again := [event for event in batch if event.id in failed]:
            waiting.append(again)


def counted(store: Store, tenant_id: str, *, by_dimensions: bool = False) -> Amounts:
    """The sum of all counters."""
    found = table.read_counters(store, tenant_id, ALL_DAYS, by_dimensions=by_dimensions)
    return sum_of(amounts for _, amounts in found)


def sum_of(several: Iterable[Amounts]) -> Amounts:
    """All of these together."""
    result = Amounts()
    for amounts in several:
        result = result.plus(amounts)
    return result


def expected(facts: Iterable[Usage], tenant_id: str) -> Amounts:
    """The sum of the different events of a tenant."""
    unique = {event.id: event for event in facts if event.tenant_id == tenant_id}
    return sum_of(domain.entry_of(event).amounts for event in unique.values())


class TestCountUsage:
    @settings(deadline=None)  # a busy machine is no failure
    @given(deliveries(conflicts=False), st.lists(st.sampled_from([FINE, LOST_ANSWER, LOST_REQUEST]), max_size=12))
    def test_counts_each_event_once(self, batches: list[list[Usage]], faults: list[str]) -> None:
        store = MemoryTable(faults).store
        deliver(store, batches)
        for tenant_id in TENANTS:
            facts = [event for batch in batches for event in batch]
            assert counted(store, tenant_id) == expected(facts, tenant_id)
            assert counted(store, tenant_id, by_dimensions=True) == expected(facts, tenant_id)

    @settings(deadline=None)
    @given(deliveries(conflicts=False))
    def test_groups_and_days_hold_the_sums_of_their_events(self, batches: list[list[Usage]]) -> None:
        store = MemoryTable().store
        deliver(store, batches)
        facts = {_identity(event): event for batch in batches for event in batch if event.tenant_id == "demo-org"}
        rows = operations.usage_of(store, "demo-org", ALL_DAYS, period=Period.DAY, group_by=GroupBy.MODEL)
        entries = [domain.entry_of(event) for event in facts.values()]
        for row in rows:
            of_row = [e for e in entries if (e.occurred_at.date(), e.dimensions.model) == (row.start, row.group)]
            assert row.amounts == sum_of(entry.amounts for entry in of_row)
        assert sum(row.amounts.events for row in rows) == len(entries)

    @settings(deadline=None)
    @given(deliveries(conflicts=True), st.lists(st.sampled_from([FINE, LOST_ANSWER, LOST_REQUEST]), max_size=12))
    def test_counters_are_the_sum_of_the_ledger_even_with_conflicts(
        self, batches: list[list[Usage]], faults: list[str]
    ) -> None:
        memory = MemoryTable(faults)
        deliver(memory.store, batches)
        for tenant_id in TENANTS:
            facts = [domain.entry_of(event) for batch in batches for event in batch if event.tenant_id == tenant_id]
            hashes = {
                Reader(item).text("content_hash") for item in memory.partitions(f"TENANT#{tenant_id}#USAGE#EVENT#")
            }
            ledger = {entry.content_hash: entry for entry in facts if entry.content_hash in hashes}
            assert {entry.event_id for entry in ledger.values()} == {entry.event_id for entry in facts}
            assert counted(memory.store, tenant_id) == sum_of(entry.amounts for entry in ledger.values())
            aside = {Reader(item).text("SK") for item in memory.partitions(f"TENANT#{tenant_id}#USAGE#CONFLICT#")}
            assert aside == {entry.content_hash for entry in facts} - hashes

    def test_usage_of_nothing_is_no_row(self) -> None:
        rows = operations.usage_of(MemoryTable().store, "demo-org", ALL_DAYS, period=Period.DAY, group_by=None)
        assert rows == []

    def test_a_closed_hour_without_usage_is_no_row(self) -> None:
        memory = MemoryTable()
        pk, sk = table.SLICE.key("demo-org", "MONTH", "2026-11", "0"), "TOTAL#2026-11-22T23"
        memory.items[(pk, sk)] = {"PK": pk, "SK": sk, "closed": True}
        rows = operations.usage_of(memory.store, "demo-org", ALL_DAYS, period=Period.DAY, group_by=None)
        assert rows == []

    def test_takes_one_transaction_for_a_tenant_and_batch(self) -> None:
        memory = MemoryTable()
        operations.count_usage(memory.store, [used(f"run_{number}") for number in range(10)])
        assert memory.transactions == 1

    def test_splits_what_does_not_fit_into_one(self) -> None:
        memory = MemoryTable()
        many = [used(f"run_{n}", agent_id=f"agt_{n}", at=AT - timedelta(hours=n)) for n in range(100)]
        assert operations.count_usage(memory.store, many) == {}
        assert counted(memory.store, "demo-org").events == 100
        assert memory.transactions == 4

    def test_says_which_events_must_come_again(self) -> None:
        memory = MemoryTable([FINE, LOST_REQUEST])
        failed = operations.count_usage(memory.store, [used("run_1"), used("run_2", tenant_id="demo-org2")])
        assert list(failed) == ["run_2:1:1"]
        assert isinstance(failed["run_2:1:1"], DependencyUnavailable)
        assert counted(memory.store, "demo-org").events == 1

    def test_refuses_usage_of_a_closed_hour_and_counts_the_rest(self) -> None:
        memory = MemoryTable()
        operations.count_usage(memory.store, [used("run_1")])
        [total] = [item for item in memory.items.values() if str(item["SK"]).startswith("TOTAL#")]
        total["closed"] = True
        later = AT + timedelta(hours=1)
        batch = [used("run_1"), used("run_2", at=later), *(used(f"run_{number}") for number in range(3, 30))]
        failed = operations.count_usage(memory.store, batch)
        shard = domain.entry_of(used("run_1")).shard
        assert set(failed) == {e.id for e in batch[2:] if domain.entry_of(e).shard == shard}
        assert {type(error) for error in failed.values()} == {HourClosed}
        assert counted(memory.store, "demo-org").events == len(batch) - len(failed)


class TestUnderMoto:
    """The same against real condition and update expressions."""

    def test_counts_a_batch_with_duplicates_once(self, store: Store) -> None:
        batch = [used("run_1"), used("run_2", cost_nano_usd=None), used("run_1"), used("run_3", meters={})]
        assert operations.count_usage(store, batch) == {}
        assert counted(store, "demo-org") == expected(batch, "demo-org")
        assert counted(store, "demo-org", by_dimensions=True) == expected(batch, "demo-org")

    def test_counts_what_is_new_in_a_batch_that_comes_again(self, store: Store) -> None:
        first = [used(f"run_{number}") for number in range(3)]
        operations.count_usage(store, first)
        second = [*first[1:], *(used(f"run_{number}") for number in range(10, 13))]
        assert operations.count_usage(store, second) == {}
        assert counted(store, "demo-org") == expected([*first, *second], "demo-org")

    def test_keeps_a_conflict_aside(self, store: Store) -> None:
        operations.count_usage(store, [used("run_1", cost_nano_usd=1)])
        other = used("run_1", cost_nano_usd=2)
        assert operations.count_usage(store, [other, used("run_2", cost_nano_usd=10)]) == {}
        assert operations.count_usage(store, [other]) == {}
        assert counted(store, "demo-org").cost_nano_usd == 11
        condition = Expression("#PK = :pk", {"pk": table.SLICE.key("demo-org", "CONFLICT", "run_1:1:1")})
        [aside] = store.query_all(condition)
        assert aside["SK"] == domain.entry_of(other).content_hash
        assert Reader(aside).map("entry").integer("cost_nano_usd") == 2
        assert "tenantId" not in aside

    def test_counts_two_tenants_of_one_batch_apart(self, store: Store) -> None:
        batch = [used("run_1"), used("run_1", tenant_id="demo-org2", cost_nano_usd=5), used("run_2")]
        assert operations.count_usage(store, batch) == {}
        for tenant_id in TENANTS:
            assert counted(store, tenant_id) == expected(batch, tenant_id)

    def test_refuses_a_closed_hour(self, store: Store) -> None:
        operations.count_usage(store, [used("run_1")])
        close(store, "run_1")
        failed = operations.count_usage(store, [used("run_1"), same_shard_as("run_1")])
        assert [type(error) for error in failed.values()] == [HourClosed]
        assert counted(store, "demo-org").events == 1


def close(store: Store, run: str) -> None:
    """Close the hour and shard that this run was counted in."""
    entry = domain.entry_of(used(run))
    closing = Transaction("demo-org")
    month = table.SLICE.key("demo-org", "MONTH", "2026-11", str(entry.shard))
    [total] = store.query_all(Expression("#PK = :pk AND begins_with(#SK, :total)", {"pk": month, "total": "TOTAL#"}))
    closing.put({**total, "closed": True})
    store.commit(closing)


def same_shard_as(run: str) -> Usage:
    """Another run of the same shard."""
    shard = domain.entry_of(used(run)).shard
    others = (used(f"run_{number}") for number in range(100, 200))
    return next(event for event in others if domain.entry_of(event).shard == shard)
