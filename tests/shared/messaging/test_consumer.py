"""Each message of a batch is handled separately, and an event has its effect once."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from shared.aws.credentials import TenantCredentials, acting_for
from shared.declaration import Slice, Table
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event, EventData, new_event
from shared.messaging.consumer import EventConsumer
from shared.observability import current_trace_id
from shared.storage.inbox import Delivery
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from tests import tables
from tests.messages import batch

SLICE = Slice("THINGS", Table.ENTITIES)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class ThingCreated(EventData):
    """A thing was created."""

    TYPE: ClassVar[str] = "thing.created.v1"
    OWNER: ClassVar[str] = "things"

    size: int


class ThingCounted(EventData):
    """A thing was counted."""

    TYPE: ClassVar[str] = "thing.counted.v1"
    OWNER: ClassVar[str] = "things"


class HandlerFailed(Exception):
    """The error of a handler."""


def thing_created(
    name: str = "1", *, size: int = 1, tenant_id: str = "acme", trace_id: str = ""
) -> Event[ThingCreated]:
    event = new_event(ThingCreated(size=size), event_id=name, tenant_id=tenant_id, subject=name, seq=1, at=NOW)
    return event.model_copy(update={"trace_id": trace_id})


def thing_counted(name: str) -> Event[ThingCounted]:
    return new_event(ThingCounted(), event_id=name, tenant_id="acme", subject=name, seq=1, at=NOW)


def failures(response: Mapping[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


class RecordingConsumer:
    """A consumer that records the events that it receives, and fails for sizes below 0."""

    def __init__(self, *, concurrently: bool = False) -> None:
        self.consumer = EventConsumer("things.consumer", concurrently=concurrently)
        self.events: list[Event[ThingCreated]] = []
        self.deliveries: list[Delivery] = []
        self.consumer.on(ThingCreated)(self._record)

    def _record(self, event: Event[ThingCreated], delivery: Delivery) -> None:
        if event.data.size < 0:
            raise HandlerFailed
        self.events.append(event)
        self.deliveries.append(delivery)


class TestMessages:
    def test_are_parsed_as_their_event_class(self) -> None:
        recorder = RecordingConsumer()
        assert failures(recorder.consumer(batch(thing_created("1", size=5)))) == []
        assert recorder.events == [thing_created("1", size=5)]
        [delivery] = recorder.deliveries
        assert (delivery.consumer, delivery.event_id) == ("things.consumer", "1")

    def test_can_have_unknown_fields(self) -> None:
        recorder = RecordingConsumer()
        assert failures(recorder.consumer(batch(thing_created(), extra={"colour": "red"}))) == []
        assert recorder.events == [thing_created()]

    def test_are_returned_only_if_they_fail(self) -> None:
        recorder = RecordingConsumer()
        response = recorder.consumer(batch(thing_created("1"), thing_created("2", size=-1), thing_created("3")))
        assert failures(response) == ["message-1"]
        assert [event.id for event in recorder.events] == ["1", "3"]

    def test_of_an_unknown_type_are_returned(self) -> None:
        recorder = RecordingConsumer()
        assert failures(recorder.consumer(batch(thing_counted("1"), thing_created("2")))) == ["message-0"]
        assert [event.id for event in recorder.events] == ["2"]

    @pytest.mark.parametrize(
        "body",
        [
            "no json",
            "[]",
            "null",
            "5",
            "{}",
            '{"detail": null}',
            '{"detail": []}',
            '{"detail": {}}',
            '{"detail": {"type": ["thing.created.v1"]}}',
            '{"detail": {"type": "thing.created.v1"}}',
            '{"detail": {"type": "thing.created.v1", "id": "1", "data": {"size": "big"}}}',
        ],
    )
    def test_that_cannot_be_parsed_are_returned(self, body: str) -> None:
        recorder = RecordingConsumer()
        messages = {"Records": [{"messageId": "bad", "body": body}, *batch(thing_created())["Records"]]}
        assert failures(recorder.consumer(messages)) == ["bad"]
        assert recorder.events == [thing_created()]

    def test_that_violate_their_contract_are_returned(self) -> None:
        recorder = RecordingConsumer()
        message = batch(thing_created())
        body = json.loads(message["Records"][0]["body"])
        del body["detail"]["data"]["size"]
        message["Records"][0]["body"] = json.dumps(body)
        assert failures(recorder.consumer(message)) == ["message-0"]

    def test_continue_the_trace_of_their_event(self) -> None:
        traces: list[str] = []
        consumer = EventConsumer("things.consumer")
        consumer.on(ThingCreated)(lambda _event, _delivery: traces.append(current_trace_id()))
        consumer(batch(thing_created("1", trace_id="1-one"), thing_created("2", trace_id="1-two")))
        assert traces == ["1-one", "1-two"]

    def test_have_the_types_of_all_handlers(self) -> None:
        consumer = EventConsumer("things.consumer")
        consumer.on(ThingCreated)(lambda _event, _delivery: None)
        consumer.on_batch(ThingCounted)(lambda _: {})
        assert consumer.types == ("thing.created.v1", "thing.counted.v1")

    def test_of_several_types_can_share_a_handler(self) -> None:
        types: list[str] = []
        consumer = EventConsumer("things.consumer")
        consumer.on(ThingCreated, ThingCounted)(lambda event, _: types.append(event.type))
        consumer(batch(thing_created("1"), thing_counted("2")))
        assert types == ["thing.created.v1", "thing.counted.v1"]


class TestBatches:
    def consumer(self, handled: list[list[str]], failing: Mapping[str, Exception] | Exception) -> EventConsumer:
        consumer = EventConsumer("things.consumer")

        @consumer.on_batch(ThingCounted)
        def count(events: Sequence[Event[ThingCounted]]) -> Mapping[str, Exception]:  # pyright: ignore[reportUnusedFunction]
            handled.append([event.id for event in events])
            if isinstance(failing, Exception):
                raise failing
            return failing

        consumer.on(ThingCreated)(lambda _event, _delivery: None)
        return consumer

    def test_are_handled_together(self) -> None:
        handled: list[list[str]] = []
        response = self.consumer(handled, {})(batch(thing_counted("1"), thing_created("2"), thing_counted("3")))
        assert (handled, failures(response)) == ([["1", "3"]], [])

    def test_return_only_failed_messages(self) -> None:
        response = self.consumer([], {"3": HandlerFailed()})(batch(thing_counted("1"), thing_counted("3")))
        assert failures(response) == ["message-1"]

    def test_return_all_their_messages_if_the_handler_raises(self) -> None:
        response = self.consumer([], HandlerFailed())(batch(thing_counted("1"), thing_created("2"), thing_counted("3")))
        assert failures(response) == ["message-0", "message-2"]

    def test_of_a_failing_tenant_do_not_affect_others(self) -> None:
        handled: list[list[str]] = []
        consumer = self.failing_consumer(handled, "acme")
        other = thing_counted("3").model_copy(update={"tenant_id": "globex"})
        assert failures(consumer(batch(thing_counted("1"), other))) == ["message-0"]
        assert handled == [["3"]]

    def test_isolate_the_event_that_raises(self) -> None:
        handled: list[list[str]] = []
        consumer = self.failing_consumer(handled, "2")
        assert failures(consumer(batch(thing_counted("1"), thing_counted("2"), thing_counted("3")))) == ["message-1"]
        assert handled == [["1"], ["3"]]

    def test_are_not_split_in_an_outage(self) -> None:
        handled: list[list[str]] = []
        consumer = self.consumer(handled, DependencyUnavailable("The database does not answer."))
        assert failures(consumer(batch(thing_counted("1"), thing_counted("2")))) == ["message-0", "message-1"]
        assert handled == [["1", "2"]]

    def failing_consumer(self, handled: list[list[str]], poison: str) -> EventConsumer:
        """Return a consumer that fails for one event or for all events of a tenant."""
        consumer = EventConsumer("things.consumer")

        @consumer.on_batch(ThingCounted)
        def count(events: Sequence[Event[ThingCounted]]) -> Mapping[str, Exception]:  # pyright: ignore[reportUnusedFunction]
            if any(poison in {event.id, event.tenant_id} for event in events):
                raise HandlerFailed
            handled.append([event.id for event in events])
            return {}

        return consumer

    def test_return_both_deliveries_of_a_failed_event(self) -> None:
        response = self.consumer([], {"1": HandlerFailed()})(batch(thing_counted("1"), thing_counted("1")))
        assert failures(response) == ["message-0", "message-1"]

    def test_are_not_handled_if_empty(self) -> None:
        handled: list[list[str]] = []
        self.consumer(handled, {})(batch(thing_created()))
        assert handled == []


class TestConcurrentConsumer:
    def test_handles_messages_concurrently(self) -> None:
        barrier = threading.Barrier(4)
        consumer = EventConsumer("things.consumer", concurrently=True)

        @consumer.on(ThingCreated)
        def wait(_event: Event[ThingCreated], _: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # the consumer has it
            barrier.wait(timeout=5)

        assert failures(consumer(batch(*(thing_created(str(number)) for number in range(4))))) == []

    def test_isolates_tenant_and_trace_of_each_message(self) -> None:
        barrier = threading.Barrier(8)
        seen: set[tuple[str, str | None, str]] = set()
        keys = TenantCredentials(lambda: NamedKeys(), role_arn="role")
        consumer = EventConsumer("things.consumer", concurrently=True)

        @consumer.on(ThingCreated)
        def record(event: Event[ThingCreated], _: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]
            with acting_for(event.tenant_id):
                barrier.wait(timeout=5)
                seen.add((event.tenant_id, keys.keys().access_key, current_trace_id()))

        names = [f"tenant-{number}" for number in range(8)]
        events = [thing_created(name, tenant_id=name, trace_id=f"trace-{name}") for name in names]
        assert failures(consumer(batch(*events))) == []
        assert seen == {(name, f"key-of-{name}", f"trace-{name}") for name in names}

    def test_returns_only_the_failed_message(self) -> None:
        recorder = RecordingConsumer(concurrently=True)
        response = recorder.consumer(batch(thing_created("1"), thing_created("2", size=-1), thing_created("3")))
        assert failures(response) == ["message-1"]
        assert {event.id for event in recorder.events} == {"1", "3"}


class NamedKeys:
    """A fake STS whose keys contain the tenant."""

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """Return a key of this tenant."""
        name = f"key-of-{arguments['Tags'][0]['Value']}"
        expires_at = datetime(2999, 1, 1, tzinfo=UTC)
        key = {"AccessKeyId": name, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expires_at}
        return {"Credentials": key}


class TestDuplicates:
    @pytest.fixture(name="store")
    def _store(self) -> Iterator[Store]:
        with tables.store(SLICE) as store:
            yield store

    def counter(self, store: Store) -> EventConsumer:
        consumer = EventConsumer("things.consumer")

        @consumer.on(ThingCreated)
        def count(event: Event[ThingCreated], delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]
            transaction = Transaction(event.tenant_id)
            delivery.mark(transaction, SLICE)
            change = Expression("ADD #n :size", {"size": event.data.size})
            transaction.update(Key(SLICE.key(event.tenant_id), "COUNTER"), change)
            store.commit(transaction)

        return consumer

    def total(self, store: Store) -> object:
        item = store.get(Key(SLICE.key("acme"), "COUNTER"))
        return item and item["n"]

    def test_in_two_batches_are_applied_once(self, store: Store) -> None:
        consumer = self.counter(store)
        for _ in range(2):
            assert failures(consumer(batch(thing_created("1", size=5)))) == []
        assert self.total(store) == 5

    def test_in_one_batch_are_applied_once(self, store: Store) -> None:
        response = self.counter(store)(
            batch(thing_created("1", size=5), thing_created("2", size=7), thing_created("1", size=5))
        )
        assert failures(response) == []
        assert self.total(store) == 12
