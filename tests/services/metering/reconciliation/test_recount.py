"""Recounting a ledger that is too large to be recounted at once, and closing before it is due."""

from datetime import date, timedelta

import pytest

from services.metering.domain.hours import GRACE, HOUR
from services.metering.domain.periods import Days
from services.metering.errors import DayTooLarge
from services.metering.operations import closing, recounting
from services.metering.table import counters
from shared.deadline import invocation
from shared.meters import Meter
from shared.storage.store import Store
from tests.invocations import Remaining
from tests.services.metering.scripted import Scripted
from tests.services.metering.usage import AT, close_due, count, entry, used

DAYS = Days(date(2026, 11, 20), date(2026, 11, 23))
YESTERDAY = AT - timedelta(days=1)
LATER = AT + 2 * HOUR


@pytest.fixture
def table() -> Scripted:
    """An empty table."""
    return Scripted([])


@pytest.fixture
def store(table: Scripted) -> Store:
    """The slice in it."""
    return table.store


class TestRecount:
    def test_of_a_large_ledger_stops_at_the_end_of_a_day_and_goes_on_there(self, store: Store) -> None:
        count(store, used("run_1"), used("run_2"), used("run_3", at=YESTERDAY), used("run_4", at=YESTERDAY))
        close_due(store, now=LATER)
        newest = recounting.recount(store, "demo-org", DAYS, at_once=1)
        assert (newest.days, newest.counted.entries) == (Days(AT.date(), DAYS.end), 2)
        rest = recounting.recount(store, "demo-org", Days(DAYS.start, newest.days.start), at_once=1)
        assert (rest.counted.entries, [*newest.drift, *rest.drift]) == (2, [])

    def test_of_open_hours_and_corrections_finds_nothing_wrong(self, store: Store) -> None:
        count(store, used("run_1"))
        close_due(store, now=LATER)
        count(store, used("run_2"), now=LATER)
        account = recounting.recount(store, "demo-org", DAYS)
        assert (account.counted.entries, account.drift) == (2, [])

    def test_of_a_day_that_cannot_be_counted_in_time_names_it(self, store: Store) -> None:
        count(store, used("run_1"))
        with invocation(Remaining(0)), pytest.raises(DayTooLarge) as refused:
            recounting.recount(store, "demo-org", DAYS)
        assert "2026-11-22" in refused.value.details[0].message

    def test_of_nothing_is_nothing(self, store: Store) -> None:
        account = recounting.recount(store, "demo-org", DAYS)
        assert (account.days, account.counted.entries, account.drift) == (DAYS, 0, [])


class TestTell:
    def test_uses_up_a_revision_and_what_comes_later_takes_the_next(self, store: Store) -> None:
        count(store, used("run_1"))
        close_due(store, now=LATER)
        told = recounting.tell(store, "demo-org", entry(used()).hour, {Meter.TOKENS_IN: -5}, events=0, now=LATER)
        count(store, used("run_2"), now=LATER)
        [opened] = counters.list_opened(store, "demo-org")
        assert (told.number, opened.revision.number) == (1, 2)
        assert recounting.recount(store, "demo-org", DAYS).drift == []


class TestCloseEarly:
    def test_leaves_the_hour_that_runs_unless_it_is_asked_for(self, store: Store) -> None:
        count(store, used("run_1"), used("run_2", at=AT - HOUR))
        assert closing.close_early(store, "demo-org", running=False, now=AT) == 1
        assert closing.close_early(store, "demo-org", running=True, now=AT) == 1
        assert counters.list_opened(store, "demo-org") == []

    def test_what_comes_later_is_a_correction(self, store: Store) -> None:
        count(store, used("run_1"))
        closing.close_early(store, "demo-org", running=True, now=AT)
        count(store, used("run_2"), now=AT)
        assert close_due(store, now=AT + HOUR + GRACE) == 1
        assert recounting.recount(store, "demo-org", DAYS).drift == []
