"""Outbox events are published to the bus at least once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from services.core.outbox.operations.publishing import NotPublished, Publisher, inserted_items
from shared.storage.items import Item, Key, item_to_wire, key_of
from shared.times import utc_now

TABLE = "ainexus-test-entities"
RESULTS = st.sampled_from(
    [None, "ThrottlingException", "InternalFailure", "MalformedDetail", "NotAuthorizedForDetailType"]
)


@dataclass
class FakeBus:
    """A fake bus that accepts all events except the configured ones."""

    rejected: dict[str, str] = field(default_factory=dict[str, str])
    """The error codes of refused events, by event."""
    batches: list[list[dict[str, Any]]] = field(default_factory=list[list[dict[str, Any]]])
    max_detail_chars: int = 1_000
    """The maximum number of characters of all details in a request."""
    request_error: str = ""
    """The error code of all requests, if any."""

    def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """Accept or refuse each entry, or fail the request."""
        if self.request_error or sum(len(entry["Detail"]) for entry in arguments["Entries"]) > self.max_detail_chars:
            raise ClientError({"Error": {"Code": self.request_error or "ValidationException"}}, "PutEvents")
        self.batches.append(arguments["Entries"])
        results = [self.rejected.get(entry["Detail"]) for entry in arguments["Entries"]]
        return {"Entries": [{"ErrorCode": code} if code else {"EventId": "1"} for code in results]}

    @property
    def details(self) -> list[str]:
        """The details of all received entries, including refused ones."""
        return [entry["Detail"] for entries in self.batches for entry in entries]


@dataclass
class FakeOutboxes:
    """Fake outboxes that record deleted and rejected items."""

    deleted: list[list[Key]] = field(default_factory=list[list[Key]])
    dead_letters: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def delete(self, table: str, keys: Sequence[Key]) -> None:
        """Record the deleted keys."""
        assert table == TABLE
        self.deleted.append(list(keys))

    def dead_letter(self, table: str, item: Item, *, reason: str) -> None:
        """Record the item and the reason."""
        assert table == TABLE
        self.dead_letters.append((str(item["event"]), reason))

    @property
    def keys(self) -> set[Key]:
        """The keys of all deleted items."""
        return {key for keys in self.deleted for key in keys}


def outbox_items(count: int) -> list[Item]:
    pk = "TENANT#acme#RUNS#OUTBOX"
    return [
        {
            "PK": pk,
            "SK": f"OUTBOX#{number}",
            "source": "ainexus.runs",
            "type": "run.queued.v1",
            "due_sk": "2026-11-22T10:00:30.000Z#1",
            "event": str(number),
        }
        for number in range(count)
    ]


def publish(items: Sequence[Item], bus: FakeBus) -> FakeOutboxes:
    outboxes = FakeOutboxes()
    Publisher(bus, "events", outboxes, utc_now).publish(TABLE, items)
    return outboxes


class TestPublish:
    def test_sends_source_and_type_for_the_rules(self) -> None:
        bus = FakeBus()
        publish(outbox_items(1), bus)
        entry = {"EventBusName": "events", "Source": "ainexus.runs", "DetailType": "run.queued.v1", "Detail": "0"}
        assert bus.batches == [[entry]]

    @pytest.mark.parametrize(
        ("count", "puts", "deletes"), [(0, [], []), (10, [10], [10]), (11, [10, 1], [11]), (30, [10] * 3, [25, 5])]
    )
    def test_batches_ten_entries_and_twenty_five_deletions(
        self, count: int, puts: list[int], deletes: list[int]
    ) -> None:
        bus = FakeBus()
        outboxes = publish(outbox_items(count), bus)
        assert [len(entries) for entries in bus.batches] == puts
        assert [len(keys) for keys in outboxes.deleted] == deletes

    def test_keeps_the_event_and_raises_after_a_transient_error(self) -> None:
        outboxes, bus, items = FakeOutboxes(), FakeBus({"1": "ThrottlingException"}), outbox_items(12)
        with pytest.raises(NotPublished):
            Publisher(bus, "events", outboxes, utc_now).publish(TABLE, items)
        assert outboxes.keys == {key_of(item) for item in items if item["event"] != "1"}
        assert bus.details == [str(number) for number in range(12)]

    def test_moves_an_invalid_event_to_the_dead_letters(self) -> None:
        items = outbox_items(3)
        outboxes = publish(items, FakeBus({"1": "MalformedDetail"}))
        assert outboxes.dead_letters == [("1", "MalformedDetail")]
        assert outboxes.keys == {key_of(item) for item in items}

    @pytest.mark.parametrize("code", ["NotAuthorizedForSource", "ResourceNotFoundException", "SomethingNew"])
    def test_keeps_the_event_after_an_error_with_another_cause(self, code: str) -> None:
        outboxes, bus, items = FakeOutboxes(), FakeBus({"1": code}), outbox_items(3)
        with pytest.raises(NotPublished):
            Publisher(bus, "events", outboxes, utc_now).publish(TABLE, items)
        assert outboxes.keys == {key_of(item) for item in items if item["event"] != "1"}
        assert outboxes.dead_letters == []

    def test_deletes_published_events_if_the_bus_fails_later(self) -> None:
        class FailingBus(FakeBus):
            def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
                if self.batches:
                    raise ConnectionError
                return super().put_events(**arguments)

        outboxes, items = FakeOutboxes(), outbox_items(12)
        with pytest.raises(ConnectionError):
            Publisher(FailingBus(), "events", outboxes, utc_now).publish(TABLE, items)
        assert outboxes.keys == {key_of(item) for item in items[:10]}

    def test_deletes_nothing_if_the_bus_is_unavailable(self) -> None:
        class UnavailableBus(FakeBus):
            def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401, ARG002 — as botocore
                raise ConnectionError

        outboxes = FakeOutboxes()
        with pytest.raises(ConnectionError):
            Publisher(UnavailableBus(), "events", outboxes, utc_now).publish(TABLE, outbox_items(3))
        assert outboxes.keys == set()

    def test_keeps_an_event_that_cannot_become_a_dead_letter(self) -> None:
        class FailingOutboxes(FakeOutboxes):
            def dead_letter(self, table: str, item: Item, *, reason: str) -> None:  # noqa: ARG002 — as its base
                raise ConnectionError

        outboxes = FailingOutboxes()
        with pytest.raises(ConnectionError):
            Publisher(FakeBus({"0": "MalformedDetail"}), "events", outboxes, utc_now).publish(TABLE, outbox_items(1))
        assert outboxes.keys == set()

    @given(st.lists(RESULTS, max_size=35))
    def test_loses_no_event(self, results: list[str | None]) -> None:
        items, outboxes = outbox_items(len(results)), FakeOutboxes()
        bus = FakeBus({str(number): code for number, code in enumerate(results) if code})
        retryable = {str(number) for number, code in enumerate(results) if code not in {None, "MalformedDetail"}}
        publisher = Publisher(bus, "events", outboxes, utc_now)
        if retryable:
            with pytest.raises(NotPublished):
                publisher.publish(TABLE, items)
        else:
            assert publisher.publish(TABLE, items) == len(items)
        assert {str(item["event"]) for item in items if key_of(item) not in outboxes.keys} == retryable
        invalid = {str(number) for number, code in enumerate(results) if code} - retryable
        assert {event for event, _ in outboxes.dead_letters} == invalid


class TestInsertedItems:
    def record(self, name: str, item: Item, table: str = TABLE) -> dict[str, Any]:
        return {
            "eventName": name,
            "eventSourceARN": f"arn:aws:dynamodb:us-east-2:111111111111:table/{table}/stream/2026-11-22T00:00:00.000",
            "dynamodb": {"NewImage": item_to_wire(item)},
        }

    def test_are_grouped_by_table(self) -> None:
        first, second, third = outbox_items(3)
        batch = {
            "Records": [
                self.record("INSERT", first),
                self.record("MODIFY", second),
                self.record("INSERT", third, "other"),
            ]
        }
        assert inserted_items(batch) == {TABLE: [first], "other": [third]}

    def test_exclude_removals(self) -> None:
        removed: dict[str, object] = {
            "eventName": "REMOVE",
            "eventSourceARN": "arn:aws:dynamodb:us-east-2:111111111111:table/t/stream/x",
            "dynamodb": {},
        }
        assert inserted_items({"Records": [removed]}) == {}


class TestRefusedRequests:
    def test_are_split_until_accepted(self) -> None:
        bus, outboxes, items = FakeBus(max_detail_chars=3), FakeOutboxes(), outbox_items(10)
        assert Publisher(bus, "bus", outboxes, utc_now).publish(TABLE, items) == 10
        assert bus.details == [str(number) for number in range(10)]
        assert outboxes.keys == {key_of(item) for item in items}
        assert outboxes.dead_letters == []

    def test_for_one_event_move_it_to_the_dead_letters(self) -> None:
        bus, outboxes, items = FakeBus(max_detail_chars=5), FakeOutboxes(), outbox_items(4)
        items[2] = {**items[2], "event": "too large"}
        Publisher(bus, "bus", outboxes, utc_now).publish(TABLE, items)
        assert bus.details == ["0", "1", "3"]
        assert outboxes.dead_letters == [("too large", "ValidationException")]
        assert outboxes.keys == {key_of(item) for item in items}

    def test_with_another_error_are_raised_unchanged(self) -> None:
        bus, outboxes = FakeBus(request_error="AccessDeniedException"), FakeOutboxes()
        with pytest.raises(ClientError):
            Publisher(bus, "bus", outboxes, utc_now).publish(TABLE, outbox_items(4))
        assert (bus.batches, outboxes.keys, outboxes.dead_letters) == ([], set(), [])
