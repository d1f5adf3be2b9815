"""A change and its audit entry are written in one transaction."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from shared.audit import network_of, recorded
from shared.declaration import Slice, Table
from shared.errors import Conflict
from shared.events.envelope import new_event
from shared.events.tenants import ProjectCreated
from shared.scope import Change
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Expression, Transaction
from tests import tables

SLICE = Slice("RUNS", Table.ENTITIES)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
THING = Key(SLICE.key("acme"), "THING")


@pytest.fixture(name="store")
def make_store() -> Iterator[Store]:
    with tables.store(SLICE) as store:
        yield store


def change() -> Change:
    return Change("request-1", "user:8f1c", "developer", "POST /things", "/things", "203.0.0.0/16", NOW)


def create_thing(store: Store, name: str = "THING", *, is_step: bool = False) -> None:
    transaction = Transaction("acme", is_step=is_step)
    transaction.put({**THING._replace(sk=name).attributes, "secret": "s3cret"}, when=ABSENT)
    payload = ProjectCreated(project_id=name)
    transaction.emit(new_event(payload, event_id=f"{name}:created", tenant_id="acme", subject=name, seq=1, at=NOW))
    store.commit(transaction)


def records(store: Store) -> list[dict[str, object]]:
    items = store.query_all(Expression("#PK = :pk", {"pk": SLICE.key("acme", "OUTBOX")}))
    return [json.loads(str(item["event"])) for item in items if item["type"] == "change.recorded.v1"]


class TestRecorded:
    def test_publishes_principal_action_and_events(self, store: Store) -> None:
        with recorded(change()):
            create_thing(store)
        [record] = records(store)
        assert (record["id"], record["subject"], record["tenant_id"]) == ("request-1:1:recorded", "request-1", "acme")
        assert record["data"] == {
            "principal": "user:8f1c",
            "role": "developer",
            "action": "POST /things",
            "target": "/things",
            "network": "203.0.0.0/16",
            "result": "done",
            "facts": [{"type": "project.created.v1", "subject": "THING", "seq": 1}],
        }
        assert "s3cret" not in json.dumps(record)

    def test_publishes_an_entry_for_each_transaction(self, store: Store) -> None:
        with recorded(change()):
            create_thing(store, "A")
            create_thing(store, "B")
        assert [record["id"] for record in records(store)] == ["request-1:1:recorded", "request-1:2:recorded"]

    def test_publishes_nothing_for_a_refused_change(self, store: Store) -> None:
        create_thing(store)
        with recorded(change()), pytest.raises(Conflict):
            create_thing(store)
        assert records(store) == []

    def test_publishes_nothing_for_steps_and_internal_changes(self, store: Store) -> None:
        with recorded(change()):
            create_thing(store, "A", is_step=True)
        with recorded(None):
            create_thing(store, "B")
        create_thing(store, "C")
        assert records(store) == []


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.0.0/16"),
        ("2001:db8:1:2::7", "2001:db8::/32"),
        ("", ""),
        ("test-invoke-source-ip", ""),
    ],
)
def test_network_does_not_identify_a_user(address: str, network: str) -> None:
    assert network_of(address) == network
