"""Delivery of events to the queue of runs, the storage counter and the ledger."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.metering.ingestion import operations as ingestion
from services.metering.ledger.domain import entries as usage
from services.runs.runs.table.storage import StoredBytes
from shared.events.envelope import Event
from shared.events.runs import ArtifactDeleted, ArtifactStored, RunQueued, UsageRecorded
from shared.messaging.consumer import EventConsumer
from shared.storage.inbox import Delivery
from shared.storage.items import Item, Key
from shared.storage.store import Store
from tests.dynamodb.memory import MemoryDynamoDB
from tests.services.runs.kills.clock import Clock


@dataclass
class Bus:
    """A bus that delivers each event twice.

    Args:
        entities: the table with the outbox.
        store: the slice of runs.
        ledger: the slice of metering.
        clock: returns the time of delivery.
    """

    entities: MemoryDynamoDB
    store: Store
    ledger: Store
    clock: Clock
    queue: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """The messages that wait for a worker."""
    published: dict[str, str] = field(default_factory=dict[str, str])
    """The types of all published events by id."""
    _consumer: EventConsumer = field(init=False)

    def __post_init__(self) -> None:
        self._consumer = EventConsumer("runs.consumer")

        @self._consumer.on(ArtifactStored)
        def stored(event: Event[ArtifactStored], delivery: Delivery) -> None:
            StoredBytes(self.store, event.tenant_id).count_delivered(delivery, more=event.data.bytes)

        @self._consumer.on(ArtifactDeleted)
        def deleted(event: Event[ArtifactDeleted], delivery: Delivery) -> None:
            StoredBytes(self.store, event.tenant_id).count_delivered(delivery, more=-event.data.bytes)

        @self._consumer.on_batch(UsageRecorded)
        def count(events: Sequence[Event[UsageRecorded]]) -> Mapping[str, Exception]:
            entries = [(event.tenant_id, usage.entry_from_call(event)) for event in events]
            return ingestion.count(self.ledger, entries, now=self.clock.now)

    def put_events(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """See `Bus.put_events`."""
        for entry in arguments["Entries"]:
            detail = json.loads(entry["Detail"])
            self.published[detail["id"]] = detail["type"]
            for _ in range(2):
                self._deliver(detail)
        return {"Entries": [dict[str, str]() for _ in arguments["Entries"]]}

    def _deliver(self, detail: dict[str, Any]) -> None:
        if detail["type"] == RunQueued.TYPE:
            self.queue.append(detail)
        elif detail["type"] in self._consumer.types:
            assert self._consumer(batch_of(detail)) == {"batchItemFailures": []}

    def delete(self, table: str, keys: Sequence[Key]) -> None:
        """See `OutboxStore.delete`."""
        self.entities.batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": key.wire}} for key in keys]})

    def dead_letter(self, table: str, item: Item, *, reason: str) -> None:
        """See `OutboxStore.dead_letter`."""
        raise AssertionError(table, item, reason)


def batch_of(detail: dict[str, Any]) -> dict[str, Any]:
    """Return a message in the format of a queue."""
    return {"Records": [{"messageId": "message", "body": json.dumps({"detail": detail})}]}
