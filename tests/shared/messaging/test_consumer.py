"""Each message is handled by itself, and an event has its effect once."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from shared.declaration import Slice, Table
from shared.errors import DependencyUnavailable
from shared.events.envelope import Event, EventData, happened
from shared.messaging.consumer import EventConsumer
from shared.observability import current_trace_id
from shared.storage.credentials import TenantCredentials, acting_for
from shared.storage.inbox import Delivery
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from tests import tables
from tests.messages import batch

SLICE = Slice("THINGS", Table.ENTITIES)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Made(EventData):
    """A thing was made."""

    TYPE: ClassVar[str] = "thing.made.v1"
    OWNER: ClassVar[str] = "things"

    size: int


class Counted(EventData):
    """Something was counted."""

    TYPE: ClassVar[str] = "thing.counted.v1"
    OWNER: ClassVar[str] = "things"


class Broken(Exception):
    """What a handler fails with."""


def made(name: str = "1", *, size: int = 1, tenant_id: str = "acme", trace_id: str = "") -> Event[Made]:
    event = happened(Made(size=size), event_id=name, tenant_id=tenant_id, subject=name, seq=1, at=NOW)
    return event.model_copy(update={"trace_id": trace_id})


def counted(name: str) -> Event[Counted]:
    return happened(Counted(), event_id=name, tenant_id="acme", subject=name, seq=1, at=NOW)


def failures(answer: Mapping[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


class Heard:
    """A consumer that keeps what it heard, and fails for sizes below 0."""

    def __init__(self, *, concurrently: bool = False) -> None:
        self.consumer = EventConsumer("things.consumer", concurrently=concurrently)
        self.events: list[Event[Made]] = []
        self.deliveries: list[Delivery] = []
        self.consumer.on(Made)(self._hear)

    def _hear(self, event: Event[Made], delivery: Delivery) -> None:
        if event.data.size < 0:
            raise Broken
        self.events.append(event)
        self.deliveries.append(delivery)


class TestMessages:
    def test_are_handled_in_their_type(self) -> None:
        heard = Heard()
        assert failures(heard.consumer(batch(made("1", size=5)))) == []
        assert heard.events == [made("1", size=5)]
        [delivery] = heard.deliveries
        assert (delivery.consumer, delivery.event_id) == ("things.consumer", "1")

    def test_an_unknown_field_is_tolerated(self) -> None:
        heard = Heard()
        assert failures(heard.consumer(batch(made(), extra={"colour": "red"}))) == []
        assert heard.events == [made()]

    def test_one_that_fails_comes_again_and_the_others_are_done(self) -> None:
        heard = Heard()
        answer = heard.consumer(batch(made("1"), made("2", size=-1), made("3")))
        assert failures(answer) == ["message-1"]
        assert [event.id for event in heard.events] == ["1", "3"]

    def test_one_of_an_unknown_type_comes_again(self) -> None:
        heard = Heard()
        assert failures(heard.consumer(batch(counted("1"), made("2")))) == ["message-0"]
        assert [event.id for event in heard.events] == ["2"]

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
            '{"detail": {"type": ["thing.made.v1"]}}',
            '{"detail": {"type": "thing.made.v1"}}',
            '{"detail": {"type": "thing.made.v1", "id": "1", "data": {"size": "big"}}}',
        ],
    )
    def test_one_that_cannot_be_read_comes_again_alone(self, body: str) -> None:
        heard = Heard()
        both = {"Records": [{"messageId": "bad", "body": body}, *batch(made())["Records"]]}
        assert failures(heard.consumer(both)) == ["bad"]
        assert heard.events == [made()]

    def test_one_that_breaks_its_contract_comes_again(self) -> None:
        heard = Heard()
        message = batch(made())
        body = json.loads(message["Records"][0]["body"])
        del body["detail"]["data"]["size"]
        message["Records"][0]["body"] = json.dumps(body)
        assert failures(heard.consumer(message)) == ["message-0"]

    def test_the_trace_goes_on(self) -> None:
        traces: list[str] = []
        consumer = EventConsumer("things.consumer")
        consumer.on(Made)(lambda _event, _delivery: traces.append(current_trace_id()))
        consumer(batch(made("1", trace_id="1-one"), made("2", trace_id="1-two")))
        assert traces == ["1-one", "1-two"]

    def test_types_are_those_that_are_handled(self) -> None:
        consumer = EventConsumer("things.consumer")
        consumer.on(Made)(lambda _event, _delivery: None)
        consumer.on_batch(Counted)(lambda _: {})
        assert consumer.types == ("thing.made.v1", "thing.counted.v1")

    def test_one_function_may_handle_several_types(self) -> None:
        heard: list[str] = []
        consumer = EventConsumer("things.consumer")
        consumer.on(Made, Counted)(lambda event, _: heard.append(event.type))
        consumer(batch(made("1"), counted("2")))
        assert heard == ["thing.made.v1", "thing.counted.v1"]


class TestBatches:
    def consumer(self, handled: list[list[str]], failing: Mapping[str, Exception] | Exception) -> EventConsumer:
        consumer = EventConsumer("things.consumer")

        @consumer.on_batch(Counted)
        def count(events: Sequence[Event[Counted]]) -> Mapping[str, Exception]:  # pyright: ignore[reportUnusedFunction]
            handled.append([event.id for event in events])
            if isinstance(failing, Exception):
                raise failing
            return failing

        consumer.on(Made)(lambda _event, _delivery: None)
        return consumer

    def test_are_handled_together(self) -> None:
        handled: list[list[str]] = []
        answer = self.consumer(handled, {})(batch(counted("1"), made("2"), counted("3")))
        assert (handled, failures(answer)) == ([["1", "3"]], [])

    def test_those_that_failed_come_again(self) -> None:
        answer = self.consumer([], {"3": Broken()})(batch(counted("1"), counted("3")))
        assert failures(answer) == ["message-1"]

    def test_all_come_again_when_it_raises_but_no_others(self) -> None:
        answer = self.consumer([], Broken())(batch(counted("1"), made("2"), counted("3")))
        assert failures(answer) == ["message-0", "message-2"]

    def test_of_one_tenant_that_raise_leave_those_of_others(self) -> None:
        handled: list[list[str]] = []
        consumer = self.poisoned(handled, "acme")
        other = counted("3").model_copy(update={"tenant_id": "globex"})
        assert failures(consumer(batch(counted("1"), other))) == ["message-0"]
        assert handled == [["3"]]

    def test_one_that_raises_fails_alone(self) -> None:
        handled: list[list[str]] = []
        consumer = self.poisoned(handled, "2")
        assert failures(consumer(batch(counted("1"), counted("2"), counted("3")))) == ["message-1"]
        assert handled == [["1"], ["3"]]

    def test_in_an_outage_are_not_tried_one_by_one(self) -> None:
        handled: list[list[str]] = []
        consumer = self.consumer(handled, DependencyUnavailable("The database does not answer."))
        assert failures(consumer(batch(counted("1"), counted("2")))) == ["message-0", "message-1"]
        assert handled == [["1", "2"]]

    def poisoned(self, handled: list[list[str]], poison: str) -> EventConsumer:
        """A consumer that cannot handle an event, or any of a tenant."""
        consumer = EventConsumer("things.consumer")

        @consumer.on_batch(Counted)
        def count(events: Sequence[Event[Counted]]) -> Mapping[str, Exception]:  # pyright: ignore[reportUnusedFunction]
            if any(poison in {event.id, event.tenant_id} for event in events):
                raise Broken
            handled.append([event.id for event in events])
            return {}

        return consumer

    def test_two_deliveries_of_a_failed_event_both_come_again(self) -> None:
        answer = self.consumer([], {"1": Broken()})(batch(counted("1"), counted("1")))
        assert failures(answer) == ["message-0", "message-1"]

    def test_nothing_to_handle_is_nothing_called(self) -> None:
        handled: list[list[str]] = []
        self.consumer(handled, {})(batch(made()))
        assert handled == []


class TestConcurrently:
    def test_messages_wait_at_the_same_time(self) -> None:
        together = threading.Barrier(4)
        consumer = EventConsumer("things.consumer", concurrently=True)

        @consumer.on(Made)
        def wait(_event: Event[Made], _: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]  # the consumer has it
            together.wait(timeout=5)

        assert failures(consumer(batch(*(made(str(number)) for number in range(4))))) == []

    def test_each_keeps_its_own_tenant_and_trace(self) -> None:
        together = threading.Barrier(8)
        seen: set[tuple[str, str | None, str]] = set()
        keys = TenantCredentials(lambda: NamedKeys(), role_arn="role")
        consumer = EventConsumer("things.consumer", concurrently=True)

        @consumer.on(Made)
        def hear(event: Event[Made], _: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]
            with acting_for(event.tenant_id):
                together.wait(timeout=5)
                seen.add((event.tenant_id, keys.keys().access_key, current_trace_id()))

        names = [f"tenant-{number}" for number in range(8)]
        events = [made(name, tenant_id=name, trace_id=f"trace-{name}") for name in names]
        assert failures(consumer(batch(*events))) == []
        assert seen == {(name, f"key-of-{name}", f"trace-{name}") for name in names}

    def test_one_that_fails_leaves_the_others(self) -> None:
        heard = Heard(concurrently=True)
        answer = heard.consumer(batch(made("1"), made("2", size=-1), made("3")))
        assert failures(answer) == ["message-1"]
        assert {event.id for event in heard.events} == {"1", "3"}


class NamedKeys:
    """Keys that name their tenant."""

    def assume_role(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """A key of this tenant."""
        name = f"key-of-{arguments['Tags'][0]['Value']}"
        ends = datetime(2999, 1, 1, tzinfo=UTC)
        key = {"AccessKeyId": name, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ends}
        return {"Credentials": key}


class TestTwice:
    @pytest.fixture(name="store")
    def _store(self) -> Iterator[Store]:
        with tables.store(SLICE) as store:
            yield store

    def counter(self, store: Store) -> EventConsumer:
        consumer = EventConsumer("things.consumer")

        @consumer.on(Made)
        def count(event: Event[Made], delivery: Delivery) -> None:  # pyright: ignore[reportUnusedFunction]
            transaction = Transaction(event.tenant_id)
            delivery.mark(transaction, SLICE)
            change = Expression("ADD #n :size", {"size": event.data.size})
            transaction.update(Key(SLICE.key(event.tenant_id), "COUNTER"), change)
            store.commit(transaction)

        return consumer

    def total(self, store: Store) -> object:
        item = store.get(Key(SLICE.key("acme"), "COUNTER"))
        return item and item["n"]

    def test_the_same_event_in_two_batches_counts_once(self, store: Store) -> None:
        consumer = self.counter(store)
        for _ in range(2):
            assert failures(consumer(batch(made("1", size=5)))) == []
        assert self.total(store) == 5

    def test_the_same_event_twice_in_one_batch_counts_once(self, store: Store) -> None:
        answer = self.counter(store)(batch(made("1", size=5), made("2", size=7), made("1", size=5)))
        assert failures(answer) == []
        assert self.total(store) == 12
