"""The sweep of the outboxes publishes every event that the stream has not delivered."""

import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from services.core.functions.publisher import handler, publisher
from services.metering.partitions import SLICE
from shared.aws.clients import own_client
from shared.events.envelope import new_event
from shared.events.metering import UsageTenantClosed
from shared.storage.store import Store
from shared.storage.transaction import Transaction
from tests.dynamodb.memory_tables import MemoryTables
from tests.invocations import FakeLambdaContext
from tests.tables import REGION, memory_tables

LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)
TABLE = "ainexus-test-usage"


@pytest.fixture(name="tables")
def make_tables() -> Generator[MemoryTables]:
    with memory_tables((publisher,)) as tables, pytest.MonkeyPatch.context() as environment:
        boto3.client("events", region_name=REGION).create_event_bus(Name="ainexus-test")  # pyright: ignore[reportUnknownMemberType]
        queue = boto3.client("sqs", region_name=REGION).create_queue(QueueName="dead")  # pyright: ignore[reportUnknownMemberType]
        environment.setenv("EVENT_BUS_NAME", "ainexus-test")
        environment.setenv("DEAD_LETTERS_URL", queue["QueueUrl"])
        environment.setenv("OUTBOXES", json.dumps({"USAGE": TABLE, "BILLING": "ainexus-test-tenants"}))
        yield tables


def add(number: int) -> None:
    store = Store(own_client("dynamodb"), table=TABLE, owned=SLICE)
    for one in range(number):
        transaction = Transaction("acme")
        at = LONG_AGO + timedelta(seconds=one)
        transaction.emit(
            new_event(UsageTenantClosed(), event_id=f"acme:{one}", tenant_id="acme", subject="acme", seq=1, at=at)
        )
        store.commit(transaction)


def count_items(tables: MemoryTables) -> int:
    return len(tables.scan(TableName=TABLE)["Items"])


class TestSweep:
    def test_publishes_page_after_page(self, tables: MemoryTables) -> None:
        add(650)
        handler({})
        assert count_items(tables) == 0

    def test_stops_before_its_timeout_and_continues_with_the_next_invocation(self, tables: MemoryTables) -> None:
        add(250)
        handler({}, FakeLambdaContext(0))
        assert count_items(tables) == 150
        handler({})
        assert count_items(tables) == 0

    def test_continues_after_a_slice_that_fails(self, tables: MemoryTables) -> None:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("OUTBOXES", json.dumps({"AGENTS": "no such table", "USAGE": TABLE}))
            query = tables.query

            def failing(**arguments: object) -> object:
                if arguments["TableName"] == "no such table":
                    raise EndpointConnectionError(endpoint_url="dynamodb")
                return query(**arguments)

            environment.setattr(tables, "query", failing)
            add(3)
            handler({})
        assert count_items(tables) == 0
