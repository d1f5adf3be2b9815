"""A queue of events and the functions that handle them.

Each message is handled by itself: one that fails comes again, and after five times lies in the dead letters, while the
others are done. The only place that decides about retries.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, TypeVar

from shared.deadline import invocation
from shared.errors import AinexusError
from shared.events.envelope import Event, EventData, parse
from shared.messaging.batch import report_batch
from shared.observability import continue_trace, trace_of_invocation
from shared.storage.inbox import AlreadyHandled, Delivery
from shared.times import utc_now
from shared.tracing import subsegment

DataT = TypeVar("DataT", bound=EventData)
One = Callable[[Event[DataT], Delivery], None]
Many = Callable[[Sequence[Event[DataT]]], Mapping[str, Exception]]
"""Handles events together; says by id which of them failed."""


LIVES = timedelta(seconds=1)
"""So long a tenant that lived is taken to live."""


class UnknownEvent(Exception):
    """A message of a type that nobody here handles."""


@dataclass(frozen=True, slots=True)
class _Message:
    message_id: str
    event: Event[EventData]


class EventConsumer:
    """What one function consumes. Lambda calls the object itself with a batch of its queue.

    Args:
        name: of the function, with its service's: `runs.worker`; the inbox marks carry it.
        concurrently: handle the messages of a batch at the same time, for handlers that mostly wait.
        is_deleted: whether a tenant is gone; what is heard of it then is dropped. It is asked once for each tenant of
            a batch, and not again within a second of the answer that the tenant lives.
    """

    def __init__(
        self, name: str, *, concurrently: bool = False, is_deleted: Callable[[str], bool] | None = None
    ) -> None:
        self.name = name
        self._concurrently = concurrently
        self._is_deleted = is_deleted
        self._lived: dict[str, datetime] = {}
        self._kinds: dict[str, type[EventData]] = {}
        self._one: dict[str, One[Any]] = {}
        self._many: dict[str, Many[Any]] = {}

    @property
    def types(self) -> tuple[str, ...]:
        """The event types that it handles."""
        return tuple(self._kinds)

    def on(self, *kinds: type[DataT]) -> Callable[[One[DataT]], One[DataT]]:
        """Register a function that handles one event of these kinds."""

        def register(handler: One[DataT]) -> One[DataT]:
            for kind in kinds:
                self._kinds[kind.TYPE] = kind
                self._one[kind.TYPE] = handler
            return handler

        return register

    def on_batch(self, *kinds: type[DataT]) -> Callable[[Many[DataT]], Many[DataT]]:
        """Register a function that handles all events of these kinds and of one tenant in a batch together."""

        def register(handler: Many[DataT]) -> Many[DataT]:
            for kind in kinds:
                self._kinds[kind.TYPE] = kind
                self._many[kind.TYPE] = handler
            return handler

        return register

    def __call__(self, batch: dict[str, Any], context: object = None) -> dict[str, Any]:
        """Handle a batch; the answer names the messages that must come again."""
        with invocation(context):
            return self._handle_records(batch)

    def _handle_records(self, batch: dict[str, Any]) -> dict[str, Any]:
        failed: dict[str, Exception] = {}
        messages: list[_Message] = []
        for record in batch["Records"]:
            try:
                messages.append(_Message(record["messageId"], self._parse(record)))
            except (ValueError, KeyError, TypeError, UnknownEvent) as error:
                failed[record["messageId"]] = error
        failed |= self._handle_or_fail(messages)
        # The batch is of many traces, and the last of them is not the batch's.
        continue_trace(trace_of_invocation())
        report_batch(self.name, batch["Records"], failed, **_named(messages))
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _parse(self, record: Mapping[str, Any]) -> Event[EventData]:
        """The event of one SQS record, whose body is an EventBridge event."""
        detail = json.loads(record["body"])["detail"]
        kind = self._kinds.get(detail["type"])
        if kind is None:
            raise UnknownEvent(detail["type"])
        return parse(kind, detail)

    def _handle_or_fail(self, messages: Sequence[_Message]) -> dict[str, Exception]:
        """Handle what is of living tenants; where that cannot be known, nothing is."""
        try:
            gone = self._deleted({message.event.tenant_id for message in messages})
        except AinexusError as error:
            return {message.message_id: error for message in messages}
        return self._handle([message for message in messages if message.event.tenant_id not in gone])

    def _deleted(self, tenants: set[str]) -> set[str]:
        """Those that are gone. A remover begins well after it has said so, so that what is remembered does no harm."""
        if self._is_deleted is None:
            return set()
        now = utc_now()
        self._lived = {tenant_id: until for tenant_id, until in self._lived.items() if until > now}
        asked = tenants - self._lived.keys()
        gone = {tenant_id for tenant_id in asked if self._is_deleted(tenant_id)}
        self._lived |= dict.fromkeys(asked - gone, now + LIVES)
        return gone

    def _handle(self, messages: Sequence[_Message]) -> dict[str, Exception]:
        singles = [message for message in messages if message.event.type in self._one]
        failed: dict[str, Exception] = {}
        for message, error in zip(singles, self._handle_singles(singles), strict=True):
            if error:
                failed[message.message_id] = error
        for handler in dict.fromkeys(self._many.values()):
            for together in self._by_tenant(handler, messages):
                failed |= self._handle_batch(handler, together)
        return failed

    def _by_tenant(self, handler: Many[Any], messages: Sequence[_Message]) -> Iterable[list[_Message]]:
        """Return the messages of a handler, those of each tenant together: no tenant makes those of others fail."""
        found: dict[str, list[_Message]] = {}
        for message in messages:
            if self._many.get(message.event.type) is handler:
                found.setdefault(message.event.tenant_id, []).append(message)
        return found.values()

    def _handle_singles(self, messages: Sequence[_Message]) -> list[Exception | None]:
        if not self._concurrently or len(messages) < 2:
            return [self._handle_one(message) for message in messages]
        with ThreadPoolExecutor(max_workers=len(messages)) as pool:
            futures = [pool.submit(contextvars.copy_context().run, self._handle_one, message) for message in messages]
            return [future.result() for future in futures]

    def _handle_one(self, message: _Message) -> Exception | None:
        event = message.event
        continue_trace(event.trace_id)
        try:
            with subsegment(event.type, **_annotations(event)):
                self._one[event.type](event, Delivery(self.name, event.id, utc_now()))
        except AlreadyHandled:
            return None
        except Exception as error:  # noqa: BLE001 — the edge: one bad message must not take the others with it
            return error
        return None

    def _handle_batch(self, handler: Many[Any], messages: Sequence[_Message]) -> dict[str, Exception]:
        """Handle messages of one tenant together; if that raises, each alone, so that the others are handled."""
        first = messages[0].event
        continue_trace(first.trace_id)
        try:
            with subsegment(first.type, **_annotations(first)):
                by_event = handler([message.event for message in messages])
        except Exception as error:  # noqa: BLE001 — as above
            if len(messages) == 1 or isinstance(error, AinexusError):
                return {message.message_id: error for message in messages}
            alone = [self._handle_batch(handler, [message]) for message in messages]
            return dict(chain.from_iterable(failed.items() for failed in alone))
        return {message.message_id: by_event[message.event.id] for message in messages if message.event.id in by_event}


def _named(messages: Sequence[_Message]) -> dict[str, list[str]]:
    """By what one event, or all of one trace, is found in the log."""
    events = [message.event for message in messages]
    return {
        "event_ids": [event.id for event in events],
        "trace_ids": sorted({event.trace_id for event in events if event.trace_id}),
        "tenant_ids": sorted({event.tenant_id for event in events}),
    }


def _annotations(event: Event[EventData]) -> dict[str, str]:
    """By what a subsegment is found; its own trace is that of the batch."""
    return {"event_id": event.id, "origin": event.trace_id, "tenant_id": event.tenant_id}
