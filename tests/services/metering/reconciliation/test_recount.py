"""Tests of recounts, of published corrections, and of closing early."""

from datetime import date, timedelta

import pytest

from services.metering.counters.domain.days import Days
from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR
from services.metering.counters.table.revisions import OpenRevisionTable
from services.metering.errors import DayTooLarge
from services.metering.hours.operations import closing
from services.metering.reconciliation import operations as recounting
from shared.deadline import invocation
from shared.meters import Meter
from shared.storage.store import Store
from tests.invocations import FakeLambdaContext
from tests.services.metering.fixtures import AT, close_due, count, entry, used
from tests.services.metering.scripted import Scripted

DAYS = Days(date(2026, 11, 20), date(2026, 11, 23))
YESTERDAY = AT - timedelta(days=1)
LATER = AT + 2 * HOUR


@pytest.fixture
def table() -> Scripted:
    """Return an empty table in memory."""
    return Scripted([])


@pytest.fixture
def store(table: Scripted) -> Store:
    """Return the slice in the table."""
    return table.store


class TestRecount:
    def test_stops_at_the_end_of_a_day_and_can_be_continued(self, store: Store) -> None:
        count(store, used("run_1"), used("run_2"), used("run_3", at=YESTERDAY), used("run_4", at=YESTERDAY))
        close_due(store, now=LATER)
        newest = recounting.recount(store, "demo-org", DAYS, max_entries=1)
        assert (newest.days, newest.ledger.entries) == (Days(AT.date(), DAYS.end), 2)
        rest = recounting.recount(store, "demo-org", Days(DAYS.start, newest.days.start), max_entries=1)
        assert (rest.ledger.entries, [*newest.drift, *rest.drift]) == (2, [])

    def test_finds_no_drift_in_open_hours_and_corrections(self, store: Store) -> None:
        count(store, used("run_1"))
        close_due(store, now=LATER)
        count(store, used("run_2"), now=LATER)
        account = recounting.recount(store, "demo-org", DAYS)
        assert (account.ledger.entries, account.drift) == (2, [])

    def test_names_the_day_that_is_too_large(self, store: Store) -> None:
        count(store, used("run_1"))
        with invocation(FakeLambdaContext(0)), pytest.raises(DayTooLarge) as refused:
            recounting.recount(store, "demo-org", DAYS)
        assert "2026-11-22" in refused.value.details[0].message

    def test_finds_nothing_in_an_empty_ledger(self, store: Store) -> None:
        account = recounting.recount(store, "demo-org", DAYS)
        assert (account.days, account.ledger.entries, account.drift) == (DAYS, 0, [])


class TestPublishCorrection:
    def test_uses_a_revision_of_its_own(self, store: Store) -> None:
        count(store, used("run_1"))
        close_due(store, now=LATER)
        correction = recounting.publish_correction(
            store, "demo-org", entry(used()).hour, {Meter.TOKENS_IN: -5}, events=0, now=LATER
        )
        count(store, used("run_2"), now=LATER)
        [opened] = OpenRevisionTable(store, "demo-org").all()
        assert (correction.number, opened.revision.number) == (1, 2)
        assert recounting.recount(store, "demo-org", DAYS).drift == []


class TestCloseEarly:
    def test_leaves_the_current_hour_open_unless_requested(self, store: Store) -> None:
        count(store, used("run_1"), used("run_2", at=AT - HOUR))
        assert closing.close_early(store, "demo-org", running=False, now=AT) == 1
        assert closing.close_early(store, "demo-org", running=True, now=AT) == 1
        assert list(OpenRevisionTable(store, "demo-org").all()) == []

    def test_later_usage_is_a_correction(self, store: Store) -> None:
        count(store, used("run_1"))
        closing.close_early(store, "demo-org", running=True, now=AT)
        count(store, used("run_2"), now=AT)
        assert close_due(store, now=AT + HOUR + GRACE_PERIOD) == 1
        assert recounting.recount(store, "demo-org", DAYS).drift == []
