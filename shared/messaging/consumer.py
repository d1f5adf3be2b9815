"""A queue of events and the functions that handle them.

Each message is handled separately: one that fails is received again, and becomes a dead letter after five attempts,
without an effect on the others. Handlers do not decide about retries; this module does.
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

from shared.edge import open_scope
from shared.errors import AinexusError
from shared.events.envelope import Event, EventData, parse
from shared.messaging.batch import report_batch
from shared.observability import in_trace
from shared.storage.inbox import AlreadyHandled, Delivery
from shared.times import utc_now
from shared.tracing import subsegment

DataT = TypeVar("DataT", bound=EventData)
EventHandler = Callable[[Event[DataT], Delivery], None]
BatchHandler = Callable[[Sequence[Event[DataT]]], Mapping[str, Exception]]
"""Handles events together, and returns the errors of those that failed, by event id."""


EXISTENCE_CACHE_LIFETIME = timedelta(seconds=1)
"""The time for which a tenant that existed is assumed to exist."""


class UnknownEvent(Exception):
    """No handler is registered for the type of a message."""


@dataclass(frozen=True, slots=True)
class _Message:
    message_id: str
    event: Event[EventData]


class EventRouter:
    """The event handlers of a capability. An `EventConsumer` receives the events of several capabilities."""

    def __init__(self) -> None:
        self._kinds: dict[str, type[EventData]] = {}
        self._handlers: dict[str, EventHandler[Any]] = {}
        self._batch_handlers: dict[str, BatchHandler[Any]] = {}

    @property
    def types(self) -> tuple[str, ...]:
        """The event types with a handler."""
        return tuple(self._kinds)

    def on(self, *kinds: type[DataT]) -> Callable[[EventHandler[DataT]], EventHandler[DataT]]:
        """Register a handler of single events of these kinds."""

        def register(handler: EventHandler[DataT]) -> EventHandler[DataT]:
            for kind in kinds:
                self._kinds[kind.TYPE] = kind
                self._handlers[kind.TYPE] = handler
            return handler

        return register

    def on_batch(self, *kinds: type[DataT]) -> Callable[[BatchHandler[DataT]], BatchHandler[DataT]]:
        """Register a handler of all events of these kinds and of one tenant in a batch."""

        def register(handler: BatchHandler[DataT]) -> BatchHandler[DataT]:
            for kind in kinds:
                self._kinds[kind.TYPE] = kind
                self._batch_handlers[kind.TYPE] = handler
            return handler

        return register

    def include(self, *routers: EventRouter) -> None:
        """Add the handlers of other routers. A type has one handler.

        Raises:
            ValueError: a type has a handler already.
        """
        for router in routers:
            if twice := self._kinds.keys() & router._kinds.keys():
                msg = f"more than one handler for {sorted(twice)}"
                raise ValueError(msg)
            self._kinds |= router._kinds
            self._handlers |= router._handlers
            self._batch_handlers |= router._batch_handlers


class EventConsumer(EventRouter):
    """The events that one function consumes. Lambda calls the object itself with a batch of its queue.

    Args:
        name: the function with its service, for example `runs.worker`; the inbox marks contain it.
        routers: the handlers, by capability.
        concurrently: whether the messages of a batch are handled at the same time, for handlers that mostly wait.
        is_deleted: returns whether a tenant was deleted, whose events are then dropped. It is called once for each
            tenant of a batch, and not again within a second after it has returned False.
    """

    def __init__(
        self,
        name: str,
        *routers: EventRouter,
        concurrently: bool = False,
        is_deleted: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self._concurrently = concurrently
        self._is_deleted = is_deleted
        self._known_until: dict[str, datetime] = {}
        self.include(*routers)

    def __call__(self, batch: dict[str, Any], context: object = None) -> dict[str, Any]:
        """Handle a batch, and return the messages that must be received again."""
        with open_scope(context):
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
        # The batch has several traces, and its report belongs to none of them, but to the invocation's.
        report_batch(self.name, batch["Records"], failed, **_log_fields(messages))
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def _parse(self, record: Mapping[str, Any]) -> Event[EventData]:
        """Return the event of one SQS record, whose body is an EventBridge event."""
        detail = json.loads(record["body"])["detail"]
        kind = self._kinds.get(detail["type"])
        if kind is None:
            raise UnknownEvent(detail["type"])
        return parse(kind, detail)

    def _handle_or_fail(self, messages: Sequence[_Message]) -> dict[str, Exception]:
        """Handle the events of tenants that exist. If that cannot be determined, handle none and fail all."""
        try:
            gone = self._deleted({message.event.tenant_id for message in messages})
        except AinexusError as error:
            return {message.message_id: error for message in messages}
        return self._handle([message for message in messages if message.event.tenant_id not in gone])

    def _deleted(self, tenants: set[str]) -> set[str]:
        """Return the deleted tenants. A remover starts long after the deletion, so the cache does no harm."""
        if self._is_deleted is None:
            return set()
        now = utc_now()
        self._known_until = {tenant_id: until for tenant_id, until in self._known_until.items() if until > now}
        asked = tenants - self._known_until.keys()
        gone = {tenant_id for tenant_id in asked if self._is_deleted(tenant_id)}
        self._known_until |= dict.fromkeys(asked - gone, now + EXISTENCE_CACHE_LIFETIME)
        return gone

    def _handle(self, messages: Sequence[_Message]) -> dict[str, Exception]:
        singles = [message for message in messages if message.event.type in self._handlers]
        failed: dict[str, Exception] = {}
        for message, error in zip(singles, self._handle_singles(singles), strict=True):
            if error:
                failed[message.message_id] = error
        for handler in dict.fromkeys(self._batch_handlers.values()):
            for together in self._by_tenant(handler, messages):
                failed |= self._handle_batch(handler, together)
        return failed

    def _by_tenant(self, handler: BatchHandler[Any], messages: Sequence[_Message]) -> Iterable[list[_Message]]:
        """Return the messages of a handler, grouped by tenant, so that no tenant makes the messages of others fail."""
        found: dict[str, list[_Message]] = {}
        for message in messages:
            if self._batch_handlers.get(message.event.type) is handler:
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
        try:
            with in_trace(event.trace_id), subsegment(event.type, **_annotations(event)):
                self._handlers[event.type](event, Delivery(self.name, event.id, utc_now()))
        except AlreadyHandled:
            return None
        except Exception as error:  # noqa: BLE001 — the entry point: one failing message must not affect the others
            return error
        return None

    def _handle_batch(self, handler: BatchHandler[Any], messages: Sequence[_Message]) -> dict[str, Exception]:
        """Handle messages of one tenant together. After an unexpected error, handle each one separately."""
        first = messages[0].event
        try:
            with in_trace(first.trace_id), subsegment(first.type, **_annotations(first)):
                by_event = handler([message.event for message in messages])
        except Exception as error:  # noqa: BLE001 — as above
            if len(messages) == 1 or isinstance(error, AinexusError):
                return {message.message_id: error for message in messages}
            alone = [self._handle_batch(handler, [message]) for message in messages]
            return dict(chain.from_iterable(failed.items() for failed in alone))
        return {message.message_id: by_event[message.event.id] for message in messages if message.event.id in by_event}


def _log_fields(messages: Sequence[_Message]) -> dict[str, list[str]]:
    """Return the ids by which an event, or all events of a trace, are found in the log."""
    events = [message.event for message in messages]
    return {
        "event_ids": [event.id for event in events],
        "trace_ids": sorted({event.trace_id for event in events if event.trace_id}),
        "tenant_ids": sorted({event.tenant_id for event in events}),
    }


def _annotations(event: Event[EventData]) -> dict[str, str]:
    """Return the annotations of a subsegment, which is in the trace of the batch; `origin` is the event's trace."""
    return {"event_id": event.id, "origin": event.trace_id, "tenant_id": event.tenant_id}
