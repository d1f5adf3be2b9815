"""A change is recorded in its own transaction, or not at all."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from shared.declaration import Slice, Table
from shared.errors import Conflict
from shared.events.envelope import happened
from shared.events.tenants import ProjectCreated
from shared.storage.audit import Change, network_of, recorded
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


def make(store: Store, name: str = "THING", *, is_step: bool = False) -> None:
    transaction = Transaction("acme", is_step=is_step)
    transaction.put({**THING._replace(sk=name).attributes, "secret": "s3cret"}, when=ABSENT)
    said = ProjectCreated(project_id=name)
    transaction.emit(happened(said, event_id=f"{name}:created", tenant_id="acme", subject=name, seq=1, at=NOW))
    store.commit(transaction)


def records(store: Store) -> list[dict[str, object]]:
    items = store.query_all(Expression("#PK = :pk", {"pk": SLICE.key("acme", "OUTBOX")}))
    return [json.loads(str(item["event"])) for item in items if item["type"] == "change.recorded.v1"]


class TestRecorded:
    def test_says_who_did_what_and_what_is_so_since(self, store: Store) -> None:
        with recorded(change()):
            make(store)
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

    def test_each_transaction_of_a_request_is_recorded(self, store: Store) -> None:
        with recorded(change()):
            make(store, "A")
            make(store, "B")
        assert [record["id"] for record in records(store)] == ["request-1:1:recorded", "request-1:2:recorded"]

    def test_what_is_refused_is_not(self, store: Store) -> None:
        make(store)
        with recorded(change()), pytest.raises(Conflict):
            make(store)
        assert records(store) == []

    def test_neither_is_a_step_nor_what_nobody_asked_for(self, store: Store) -> None:
        with recorded(change()):
            make(store, "A", is_step=True)
        with recorded(None):
            make(store, "B")
        make(store, "C")
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
def test_a_network_names_no_person(address: str, network: str) -> None:
    assert network_of(address) == network
