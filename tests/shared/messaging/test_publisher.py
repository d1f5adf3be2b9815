"""From the outbox to the bus, at least once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.publisher import NotPublished, Publisher, inserted_items
from shared.storage.items import Item, Key, item_to_wire, key_of

TABLE = "ainexus-test-entities"
RESULTS = st.sampled_from(
    [None, "ThrottlingException", "InternalFailure", "MalformedDetail", "NotAuthorizedForDetailType"]
)


@dataclass
class FakeBus:
    """Takes what it is not told to refuse."""

    refuses: dict[str, str] = field(default_factory=dict[str, str])
    """By event, with the code."""
    batches: list[list[dict[str, Any]]] = field(default_factory=list[list[dict[str, Any]]])
    most: int = 1_000
    """Characters of all details of a request."""
    breaks: str = ""
    """With this code it refuses every request."""

    def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """Take or refuse each entry, or the request."""
        if self.breaks or sum(len(entry["Detail"]) for entry in arguments["Entries"]) > self.most:
            raise ClientError({"Error": {"Code": self.breaks or "ValidationException"}}, "PutEvents")
        self.batches.append(arguments["Entries"])
        results = [self.refuses.get(entry["Detail"]) for entry in arguments["Entries"]]
        return {"Entries": [{"ErrorCode": code} if code else {"EventId": "1"} for code in results]}

    @property
    def details(self) -> list[str]:
        """All that it was sent."""
        return [entry["Detail"] for entries in self.batches for entry in entries]


@dataclass
class FakeOutboxes:
    """Keeps what is deleted and set aside."""

    deleted: list[list[Key]] = field(default_factory=list[list[Key]])
    aside: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def delete(self, table: str, keys: Sequence[Key]) -> None:
        """Keep the keys."""
        assert table == TABLE
        self.deleted.append(list(keys))

    def set_aside(self, table: str, item: Item, *, reason: str) -> None:
        """Keep what and why."""
        assert table == TABLE
        self.aside.append((str(item["event"]), reason))

    @property
    def keys(self) -> set[Key]:
        """All that is deleted."""
        return {key for keys in self.deleted for key in keys}


def waiting(count: int) -> list[Item]:
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


def published(items: Sequence[Item], bus: FakeBus) -> FakeOutboxes:
    outboxes = FakeOutboxes()
    Publisher(bus, "events", outboxes).publish(TABLE, items)
    return outboxes


class TestPublish:
    def test_an_entry_is_what_the_rules_match(self) -> None:
        bus = FakeBus()
        published(waiting(1), bus)
        entry = {"EventBusName": "events", "Source": "ainexus.runs", "DetailType": "run.queued.v1", "Detail": "0"}
        assert bus.batches == [[entry]]

    @pytest.mark.parametrize(
        ("count", "puts", "deletes"), [(0, [], []), (10, [10], [10]), (11, [10, 1], [11]), (30, [10] * 3, [25, 5])]
    )
    def test_puts_ten_and_deletes_twenty_five_at_once(self, count: int, puts: list[int], deletes: list[int]) -> None:
        bus = FakeBus()
        outboxes = published(waiting(count), bus)
        assert [len(entries) for entries in bus.batches] == puts
        assert [len(keys) for keys in outboxes.deleted] == deletes

    def test_a_passing_failure_keeps_the_event_and_raises(self) -> None:
        outboxes, bus, items = FakeOutboxes(), FakeBus({"1": "ThrottlingException"}), waiting(12)
        with pytest.raises(NotPublished):
            Publisher(bus, "events", outboxes).publish(TABLE, items)
        assert outboxes.keys == {key_of(item) for item in items if item["event"] != "1"}
        assert bus.details == [str(number) for number in range(12)]

    def test_an_invalid_event_is_set_aside_and_holds_up_nothing(self) -> None:
        items = waiting(3)
        outboxes = published(items, FakeBus({"1": "MalformedDetail"}))
        assert outboxes.aside == [("1", "MalformedDetail")]
        assert outboxes.keys == {key_of(item) for item in items}

    @pytest.mark.parametrize("code", ["NotAuthorizedForSource", "ResourceNotFoundException", "SomethingNew"])
    def test_a_failure_that_is_not_about_the_event_keeps_it(self, code: str) -> None:
        outboxes, bus, items = FakeOutboxes(), FakeBus({"1": code}), waiting(3)
        with pytest.raises(NotPublished):
            Publisher(bus, "events", outboxes).publish(TABLE, items)
        assert outboxes.keys == {key_of(item) for item in items if item["event"] != "1"}
        assert outboxes.aside == []

    def test_what_the_bus_has_taken_is_deleted_when_it_stops_to_answer(self) -> None:
        class Failing(FakeBus):
            def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
                if self.batches:
                    raise ConnectionError
                return super().put_events(**arguments)

        outboxes, items = FakeOutboxes(), waiting(12)
        with pytest.raises(ConnectionError):
            Publisher(Failing(), "events", outboxes).publish(TABLE, items)
        assert outboxes.keys == {key_of(item) for item in items[:10]}

    def test_nothing_is_deleted_when_the_bus_does_not_answer(self) -> None:
        class Down(FakeBus):
            def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401, ARG002 — as botocore
                raise ConnectionError

        outboxes = FakeOutboxes()
        with pytest.raises(ConnectionError):
            Publisher(Down(), "events", outboxes).publish(TABLE, waiting(3))
        assert outboxes.keys == set()

    def test_one_that_cannot_be_set_aside_is_not_deleted(self) -> None:
        class Closed(FakeOutboxes):
            def set_aside(self, table: str, item: Item, *, reason: str) -> None:  # noqa: ARG002 — as its base
                raise ConnectionError

        outboxes = Closed()
        with pytest.raises(ConnectionError):
            Publisher(FakeBus({"0": "MalformedDetail"}), "events", outboxes).publish(TABLE, waiting(1))
        assert outboxes.keys == set()

    @given(st.lists(RESULTS, max_size=35))
    def test_every_event_is_on_the_bus_or_set_aside_or_still_there(self, results: list[str | None]) -> None:
        items, outboxes = waiting(len(results)), FakeOutboxes()
        bus = FakeBus({str(number): code for number, code in enumerate(results) if code})
        passing = {str(number) for number, code in enumerate(results) if code not in {None, "MalformedDetail"}}
        publisher = Publisher(bus, "events", outboxes)
        if passing:
            with pytest.raises(NotPublished):
                publisher.publish(TABLE, items)
        else:
            assert publisher.publish(TABLE, items) == len(items)
        assert {str(item["event"]) for item in items if key_of(item) not in outboxes.keys} == passing
        refused = {str(number) for number, code in enumerate(results) if code} - passing
        assert {event for event, _ in outboxes.aside} == refused


class TestInsertedItems:
    def record(self, name: str, item: Item, table: str = TABLE) -> dict[str, Any]:
        return {
            "eventName": name,
            "eventSourceARN": f"arn:aws:dynamodb:us-east-2:111111111111:table/{table}/stream/2026-11-22T00:00:00.000",
            "dynamodb": {"NewImage": item_to_wire(item)},
        }

    def test_are_those_that_were_inserted_by_table(self) -> None:
        one, two, three = waiting(3)
        batch = {
            "Records": [self.record("INSERT", one), self.record("MODIFY", two), self.record("INSERT", three, "other")]
        }
        assert inserted_items(batch) == {TABLE: [one], "other": [three]}

    def test_a_removal_has_no_image(self) -> None:
        removed: dict[str, object] = {
            "eventName": "REMOVE",
            "eventSourceARN": "arn:aws:dynamodb:us-east-2:111111111111:table/t/stream/x",
            "dynamodb": {},
        }
        assert inserted_items({"Records": [removed]}) == {}


class TestRequestsThatAreRefused:
    def test_are_halved_until_all_is_taken(self) -> None:
        bus, outboxes, items = FakeBus(most=3), FakeOutboxes(), waiting(10)
        assert Publisher(bus, "bus", outboxes).publish(TABLE, items) == 10
        assert bus.details == [str(number) for number in range(10)]
        assert outboxes.keys == {key_of(item) for item in items}
        assert outboxes.aside == []

    def test_for_one_event_set_that_one_aside(self) -> None:
        bus, outboxes, items = FakeBus(most=5), FakeOutboxes(), waiting(4)
        items[2] = {**items[2], "event": "too large"}
        Publisher(bus, "bus", outboxes).publish(TABLE, items)
        assert bus.details == ["0", "1", "3"]
        assert outboxes.aside == [("too large", "ValidationException")]
        assert outboxes.keys == {key_of(item) for item in items}

    def test_for_another_reason_come_again_as_they_are(self) -> None:
        bus, outboxes = FakeBus(breaks="AccessDeniedException"), FakeOutboxes()
        with pytest.raises(ClientError):
            Publisher(bus, "bus", outboxes).publish(TABLE, waiting(4))
        assert (bus.batches, outboxes.keys, outboxes.aside) == ([], set(), [])
