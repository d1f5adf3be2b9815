"""Both versions of the usage event, and the meter of cache writes for one hour."""

import json
from collections.abc import Sequence

import pytest

from services.metering.counters.domain.hours import GRACE_PERIOD, HOUR
from services.metering.ingestion import operations as ingestion
from services.metering.ledger.domain.entries import LedgerEntry, entry_from_call
from services.metering.ledger.table.entries import LedgerTable
from shared.events.envelope import Event, new_event
from shared.events.runs import EarlierUsageRecorded, UsageRecorded
from shared.meters import Meter
from shared.storage.store import Store
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.metering.fixtures import AT, close_due, counted, used
from tests.services.metering.scripted import Scripted

WRITES = {Meter.TOKENS_IN: 100, Meter.TOKENS_CACHE_WRITE: 80}
WITH_DETAIL = {**WRITES, Meter.TOKENS_CACHE_WRITE_1H: 30}


def current(*, estimated: bool = False) -> Event[UsageRecorded]:
    """Return the event of a call with cache writes for one hour."""
    event = used(meters=WITH_DETAIL)
    data = event.data.model_copy(update={"usage_estimated": estimated})
    return new_event(data, event_id=event.id, tenant_id="demo-org", subject=event.subject, seq=1, at=AT)


def earlier() -> Event[EarlierUsageRecorded]:
    """Return the event of the same call in the earlier version."""
    event = current()
    fields = event.data.model_dump(exclude={"usage_estimated"}) | {"meters": WRITES}
    data = EarlierUsageRecorded.model_validate(fields)
    return new_event(data, event_id=event.id, tenant_id="demo-org", subject=event.subject, seq=1, at=AT)


def ledger(store: Store) -> Sequence[LedgerEntry]:
    """Return the entries of the ledger."""
    return list(LedgerTable(store, "demo-org").between(start=AT - HOUR, end=AT + HOUR))


@pytest.fixture
def table() -> Scripted:
    """Return an empty table."""
    return Scripted([])


@pytest.mark.report(12)
class TestVersions:
    def test_have_types_of_their_own(self) -> None:
        assert (EarlierUsageRecorded.TYPE, UsageRecorded.TYPE) == ("usage.recorded.v1", "usage.recorded.v2")
        with pytest.raises(ValueError, match="meters"):
            EarlierUsageRecorded.model_validate(earlier().data.model_dump() | {"meters": WITH_DETAIL})

    @pytest.mark.parametrize("first", ["earlier", "current"])
    def test_of_one_call_count_once(self, table: Scripted, first: str) -> None:
        events = [earlier(), current()] if first == "earlier" else [current(), earlier()]
        for event in events:
            result = ingestion.count(table.store, [("demo-org", entry_from_call(event))], now=AT)
            assert result == {}
        [entry] = ledger(table.store)
        assert entry.meters == (WRITES if first == "earlier" else WITH_DETAIL)
        assert not list(table.items("TENANT#demo-org#USAGE#ASIDE#run_1:1:1"))

    def test_count_the_detail_in_ledger_and_sums_but_not_in_the_hour_for_billing(self, table: Scripted) -> None:
        ingestion.count(table.store, [("demo-org", entry_from_call(current()))], now=AT)
        assert counted(table.store).meters == WITH_DETAIL
        assert close_due(table.store, now=AT + 2 * HOUR + GRACE_PERIOD) == 1
        [closed] = events_of(table, "usage.hour_closed.v1")
        assert closed["meters"] == {meter.value: amount for meter, amount in WRITES.items()}

    def test_keep_whether_the_usage_is_estimated(self, table: Scripted) -> None:
        ingestion.count(table.store, [("demo-org", entry_from_call(current(estimated=True)))], now=AT)
        assert [entry.origin.usage_estimated for entry in ledger(table.store)] == [True]
        assert not entry_from_call(earlier()).origin.usage_estimated


def events_of(table: MemoryDynamoDB, event_type: str) -> list[dict[str, dict[str, int]]]:
    """Return the data of the events of this type in the outbox."""
    items = table.items("TENANT#demo-org#USAGE#OUTBOX")
    return [json.loads(str(item["event"]))["data"] for item in items if item["type"] == event_type]
