"""Reconciliation: every kind of difference is made, found, named and corrected."""

from collections.abc import Generator
from datetime import timedelta

import pytest

from services.billing import wiring as of_billing
from services.billing.partitions import SLICE as BILLING
from services.metering import wiring as of_metering
from services.metering.counters.domain.amounts import Dimensions, dimensions_key
from services.metering.ledger.table.entries import LedgerTable
from services.metering.partitions import SLICE as USAGE
from services.runs import wiring as of_runs
from services.runs.budgets.domain import Spent
from shared.drift import Drift
from shared.storage.items import Key
from shared.times import to_text, utc_now
from tests.cli.reconciliation.services import AT, HOUR, PERIOD, ReconciledServices, reconciled_services
from tests.services.runs.examples import AGENT_ID, TENANT

DAY = HOUR[:10]
HOUR_START = to_text(AT.replace(minute=0))
OF_RUN = dimensions_key(Dimensions(AGENT_ID, "gpt-4", "simulated", None))
TOTAL = "0000#TOTAL"
COUNTERS = (
    ("hour", HOUR, ("HOUR", HOUR, "0"), TOTAL),
    ("closed hour", HOUR, ("HOURS",), HOUR),
    ("day", DAY, ("DAYS",), f"TOTAL#{DAY}"),
    ("day", DAY, ("DAYS",), f"DIM#{DAY}#{OF_RUN}"),
    ("month", PERIOD, ("MONTHS",), f"TOTAL#{PERIOD}"),
    ("month", PERIOD, ("MONTHS",), f"DIM#{PERIOD}#{OF_RUN}"),
)


@pytest.fixture
def services() -> Generator[ReconciledServices]:
    """Yield the services with two runs in a closed hour, and all events delivered."""
    with reconciled_services() as made:
        made.run()
        made.run(at=AT + timedelta(minutes=1))
        made.close()
        yield made


def places(drift: list[Drift]) -> set[str]:
    """Return the places of differences."""
    return {one.place for one in drift}


def assert_reconciled(services: ReconciledServices) -> None:
    """Assert that there are no differences, now and after all events are delivered."""
    report = services.reconciliation.settle()
    assert (report.drift, report.pending) == ([], [])
    services.close()
    report = services.compare()
    assert (report.drift, report.pending) == ([], [])


class TestCompare:
    def test_finds_no_difference_in_consistent_usage(self, services: ReconciledServices) -> None:
        report = services.compare()
        assert (report.drift, report.pending, report.entries) == ([], [], 2)

    def test_ignores_an_open_hour(self, services: ReconciledServices) -> None:
        services.run(at=utc_now())
        services.deliver()
        report = services.compare()
        assert (report.drift, report.pending, report.entries) == ([], [], 3)

    def test_reports_an_event_on_the_bus_as_pending(self, services: ReconciledServices) -> None:
        services.delay = timedelta(0)
        services.run(at=utc_now() - timedelta(minutes=1))
        report = services.reconciliation._compare_once()  # pyright: ignore[reportPrivateUsage]  # one comparison, before events are delivered
        assert report.drift == []
        assert places(report.pending) == {"ledger"}
        services.deliver()
        assert services.compare().pending == []

    def test_ignores_usage_that_arrives_between_two_comparisons(self, services: ReconciledServices) -> None:
        services.run(at=AT)
        report = services.compare()
        assert report.drift == []
        services.close()
        assert services.compare().pending == []

    def test_counts_the_usage_of_a_deleted_run(self, services: ReconciledServices) -> None:
        run = services.run()
        services.close()
        services.remove(of_runs.slice_store(), of_runs.slice_runs().of(TENANT).key(run.run_id))
        assert_reconciled(services)

    def test_ignores_late_usage_and_its_correction(self, services: ReconciledServices) -> None:
        services.run()
        services.deliver()
        assert services.compare().drift == []
        assert_reconciled(services)


class TestLedgerDifferences:
    def test_names_and_republishes_lost_usage_of_a_run(self, services: ReconciledServices) -> None:
        services.lost = "usage.recorded.v2"
        run = services.run()
        services.close()
        services.lost = ""
        report = services.compare()
        assert places(report.drift) == {"ledger"}
        assert {one.subject for one in report.drift} == {f"{run.run_id}:1:1"}
        assert {("tokens_in", 7, 0), ("tokens_out", 1, 0)} <= {
            (one.meter, one.expected, one.found) for one in report.drift
        }
        assert any(f"{run.run_id}:1:1" in line for line in services.repair())
        assert_reconciled(services)
        assert services.compare().entries == 3

    def test_finds_a_removed_entry_by_its_run_and_its_counters(self, services: ReconciledServices) -> None:
        run = services.runs[0]
        ledger = LedgerTable(of_metering.slice_store(), TENANT)
        services.remove(ledger.store, ledger.key(f"{run.run_id}:1:1"))
        assert {"ledger", "hour", "closed hour", "day", "month"} <= places(services.compare().drift)
        services.repair()
        assert_reconciled(services)

    def test_leaves_a_changed_entry_to_the_operator(self, services: ReconciledServices) -> None:
        run = services.runs[0]
        services.change(LedgerTable(of_metering.slice_store(), TENANT).key(f"{run.run_id}:1:1"), tokens_in=5)
        assert ("ledger", 7, 12) in {(one.place, one.expected, one.found) for one in services.compare().drift}
        services.repair()
        assert places(services.compare().drift) == {"ledger"}


class TestCounterDifferences:
    def test_are_found_and_corrected_in_each_counter(self, services: ReconciledServices) -> None:
        for number, (_, _, pk, sk) in enumerate(COUNTERS):
            services.change(Key(USAGE.key(TENANT, *pk), sk), tokens_in=1_000 + number)
        assert {(one.place, one.at, one.meter, one.expected, one.found) for one in services.compare().drift} == {
            (place, at, "tokens_in", 14, 1_014 + number) for number, (place, at, _, _) in enumerate(COUNTERS)
        }
        assert len([line for line in services.repair() if line.endswith("to 14")]) == len(COUNTERS)
        assert_reconciled(services)

    def test_restore_removed_counters(self, services: ReconciledServices) -> None:
        keys = [Key(USAGE.key(TENANT, *pk), sk) for _, _, pk, sk in COUNTERS]
        services.remove(of_metering.slice_store(), *keys)
        drift = services.compare().drift
        assert {(place, at) for place, at, _, _ in COUNTERS[1:]} <= {(one.place, one.at) for one in drift}
        services.repair()
        assert_reconciled(services)

    def test_are_corrected_with_an_audit_record(self, services: ReconciledServices) -> None:
        services.change(Key(USAGE.key(TENANT, "DAYS"), f"TOTAL#{DAY}"), tokens_in=1)
        services.repair()
        assert "change.recorded.v1" in services.outbox_types(of_metering.slice_store())


class TestBudgetDifferences:
    @pytest.mark.parametrize("spent", [Spent(requests=2), Spent(tokens=50), Spent(tokens=-50)])
    def test_are_found_and_corrected(self, services: ReconciledServices, spent: Spent) -> None:
        services.spend(spent)
        drift = services.compare().drift
        assert places(drift) == {"budget"}
        assert [one.excess for one in drift] == [spent.requests or spent.tokens]
        assert any(PERIOD in line for line in services.repair())
        assert_reconciled(services)

    def test_exclude_usage_that_is_missing_in_the_ledger(self, services: ReconciledServices) -> None:
        services.lost = "usage.recorded.v2"
        services.run()
        services.close()
        assert places(services.compare().drift) == {"ledger"}


class TestBillingDifferences:
    def test_republish_an_hour_that_was_not_received(self, services: ReconciledServices) -> None:
        services.remove(of_billing.slice_store(), Key(BILLING.key(TENANT, "USAGE", PERIOD), f"{HOUR}#000000"))
        assert {(one.place, one.at, one.found) for one in services.compare().drift} == {("billing", HOUR_START, 0)}
        assert any("published again" in line for line in services.repair())
        assert_reconciled(services)

    def test_correct_an_hour_that_was_received_with_other_numbers(self, services: ReconciledServices) -> None:
        key = Key(BILLING.key(TENANT, "USAGE", PERIOD), f"{HOUR}#000000")
        item = of_billing.slice_store().get(key)
        assert item
        services.rewrite(of_billing.slice_store(), {**item, "meters": {"tokens_in": 20, "tokens_out": 2}})
        assert ("billing", "tokens_in", 14, 20) in {
            (one.place, one.meter, one.expected, one.found) for one in services.compare().drift
        }
        assert any("usage.corrected published" in line for line in services.repair())
        assert_reconciled(services)

    def test_correct_hours_that_were_corrected_in_metering(self, services: ReconciledServices) -> None:
        services.lost = "usage.hour_closed.v1"
        other = AT + timedelta(hours=2)
        services.run(at=other)
        services.deliver()
        services.change(Key(USAGE.key(TENANT, "HOUR", f"{other:%Y-%m-%dT%H}", "0"), TOTAL), tokens_in=100)
        services.close()
        services.lost = ""
        services.repair()
        services.deliver()
        assert_reconciled(services)
