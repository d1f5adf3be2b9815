"""Reconciling: every kind of drift, made on purpose, is found, named and put right."""

from collections.abc import Generator
from datetime import timedelta

import pytest

from services.billing import wiring as of_billing
from services.billing.table import SLICE as BILLING
from services.metering import wiring as of_metering
from services.metering.domain.usage import Dimensions
from services.metering.table import SLICE as USAGE
from services.metering.table.amounts import place_of_dimensions
from services.metering.table.ledger import entry_key
from services.runs import wiring as of_runs
from services.runs.domain.budget import Spent
from services.runs.table.items import run_key
from shared.drift import Drift
from shared.storage.items import Key
from shared.times import to_text, utc_now
from tests.cli.reconciliation.services import AT, HOUR, PERIOD, Books
from tests.cli.reconciliation.services import books as open_books
from tests.services.runs.runs import AGENT_ID, TENANT

DAY = HOUR[:10]
HOUR_START = to_text(AT.replace(minute=0))
OF_RUN = place_of_dimensions(Dimensions(AGENT_ID, "gpt-4", "simulated", None))
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
def books() -> Generator[Books]:
    """A tenant with two runs in a closed hour, everything told to everybody."""
    with open_books() as made:
        made.run()
        made.run(at=AT + timedelta(minutes=1))
        made.close()
        yield made


def places(drift: list[Drift]) -> set[str]:
    """Where something is wrong."""
    return {one.place for one in drift}


def assert_right(books: Books) -> None:
    """All is well, at once and when everything that was said has come to its end."""
    look = books.reconciliation.settle()
    assert (look.drift, look.pending) == ([], [])
    books.close()
    look = books.look()
    assert (look.drift, look.pending) == ([], [])


class TestLook:
    def test_finds_nothing_where_everything_says_the_same(self, books: Books) -> None:
        look = books.look()
        assert (look.drift, look.pending, look.entries) == ([], [], 2)

    def test_an_hour_that_is_open_is_no_drift(self, books: Books) -> None:
        books.run(at=utc_now())
        books.deliver()
        look = books.look()
        assert (look.drift, look.pending, look.entries) == ([], [], 3)

    def test_an_event_on_the_bus_is_pending_and_then_nothing(self, books: Books) -> None:
        books.later = timedelta(0)
        books.run(at=utc_now() - timedelta(minutes=1))
        look = books.reconciliation._look()  # pyright: ignore[reportPrivateUsage]  # one look, before anything moves
        assert look.drift == []
        assert places(look.pending) == {"ledger"}
        books.deliver()
        assert books.look().pending == []

    def test_usage_that_comes_between_two_looks_is_no_drift(self, books: Books) -> None:
        books.run(at=AT)
        look = books.look()
        assert look.drift == []
        books.close()
        assert books.look().pending == []

    def test_usage_of_a_deleted_run_stays_counted(self, books: Books) -> None:
        run = books.run()
        books.close()
        books.remove(of_runs.slice_store(), run_key(TENANT, run.run_id))
        assert_right(books)

    def test_late_usage_and_its_correction_are_no_drift(self, books: Books) -> None:
        books.run()
        books.deliver()
        assert books.look().drift == []
        assert_right(books)


class TestLedger:
    def test_a_run_whose_usage_never_came_is_named_and_said_again(self, books: Books) -> None:
        books.lost = "usage.recorded.v1"
        run = books.run()
        books.close()
        books.lost = ""
        look = books.look()
        assert places(look.drift) == {"ledger"}
        assert {one.subject for one in look.drift} == {f"{run.run_id}:1:1"}
        assert {("tokens_in", 7, 0), ("tokens_out", 1, 0)} <= {
            (one.meter, one.expected, one.found) for one in look.drift
        }
        assert any(f"{run.run_id}:1:1" in what for what in books.repair())
        assert_right(books)
        assert books.look().entries == 3

    def test_an_item_that_is_gone_is_missed_by_the_run_and_by_the_counters(self, books: Books) -> None:
        run = books.runs[0]
        books.remove(of_metering.slice_store(), entry_key(TENANT, f"{run.run_id}:1:1"))
        assert {"ledger", "hour", "closed hour", "day", "month"} <= places(books.look().drift)
        books.repair()
        assert_right(books)

    def test_an_item_that_says_something_else_is_left_for_a_person(self, books: Books) -> None:
        run = books.runs[0]
        books.change(entry_key(TENANT, f"{run.run_id}:1:1"), tokens_in=5)
        assert ("ledger", 7, 12) in {(one.place, one.expected, one.found) for one in books.look().drift}
        books.repair()
        assert places(books.look().drift) == {"ledger"}


class TestCounters:
    def test_those_that_were_raised_are_found_where_they_stand_and_put_right(self, books: Books) -> None:
        for number, (_, _, pk, sk) in enumerate(COUNTERS):
            books.change(Key(USAGE.key(TENANT, *pk), sk), tokens_in=1_000 + number)
        assert {(one.place, one.at, one.meter, one.expected, one.found) for one in books.look().drift} == {
            (place, at, "tokens_in", 14, 1_014 + number) for number, (place, at, _, _) in enumerate(COUNTERS)
        }
        assert len([what for what in books.repair() if what.endswith("is 14")]) == len(COUNTERS)
        assert_right(books)

    def test_those_that_are_gone_are_made_again(self, books: Books) -> None:
        keys = [Key(USAGE.key(TENANT, *pk), sk) for _, _, pk, sk in COUNTERS]
        books.remove(of_metering.slice_store(), *keys)
        drift = books.look().drift
        assert {(place, at) for place, at, _, _ in COUNTERS[1:]} <= {(one.place, one.at) for one in drift}
        books.repair()
        assert_right(books)

    def test_a_repair_stands_in_the_audit(self, books: Books) -> None:
        books.change(Key(USAGE.key(TENANT, "DAYS"), f"TOTAL#{DAY}"), tokens_in=1)
        books.repair()
        assert "change.recorded.v1" in books.waiting(of_metering.slice_store())


class TestBudgets:
    @pytest.mark.parametrize("spent", [Spent(requests=2), Spent(tokens=50), Spent(tokens=-50)])
    def test_one_that_was_changed_is_found_and_put_right(self, books: Books, spent: Spent) -> None:
        books.spend(spent)
        drift = books.look().drift
        assert places(drift) == {"budget"}
        assert [one.excess for one in drift] == [spent.requests or spent.tokens]
        assert any(PERIOD in what for what in books.repair())
        assert_right(books)

    def test_is_not_blamed_for_usage_that_the_ledger_lacks(self, books: Books) -> None:
        books.lost = "usage.recorded.v1"
        books.run()
        books.close()
        assert places(books.look().drift) == {"ledger"}


class TestBilling:
    def test_an_hour_that_it_never_heard_of_is_said_again(self, books: Books) -> None:
        books.remove(of_billing.slice_store(), Key(BILLING.key(TENANT, "USAGE", PERIOD), f"{HOUR}#000000"))
        assert {(one.place, one.at, one.found) for one in books.look().drift} == {("billing", HOUR_START, 0)}
        assert any("said again" in what for what in books.repair())
        assert_right(books)

    def test_an_hour_that_it_heard_otherwise_is_corrected_by_an_event(self, books: Books) -> None:
        key = Key(BILLING.key(TENANT, "USAGE", PERIOD), f"{HOUR}#000000")
        item = of_billing.slice_store().get(key)
        assert item
        books.rewrite(of_billing.slice_store(), {**item, "meters": {"tokens_in": 20, "tokens_out": 2}})
        assert ("billing", "tokens_in", 14, 20) in {
            (one.place, one.meter, one.expected, one.found) for one in books.look().drift
        }
        assert any("usage.corrected said" in what for what in books.repair())
        assert_right(books)

    def test_hours_that_are_put_right_here_are_put_right_there(self, books: Books) -> None:
        books.lost = "usage.hour_closed.v1"
        other = AT + timedelta(hours=2)
        books.run(at=other)
        books.deliver()
        books.change(Key(USAGE.key(TENANT, "HOUR", f"{other:%Y-%m-%dT%H}", "0"), TOTAL), tokens_in=100)
        books.close()
        books.lost = ""
        books.repair()
        books.deliver()
        assert_right(books)
