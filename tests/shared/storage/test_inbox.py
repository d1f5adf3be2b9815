"""A second delivery of an event changes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.declaration import Slice, Table
from shared.storage.inbox import AlreadyHandled, Delivery
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Expression, Transaction
from shared.times import epoch
from tests import tables

SLICE = Slice("USAGE", Table.USAGE)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DELIVERY = Delivery("metering.consumer", "run_1:1:1", NOW)
COUNTER = Key(SLICE.key("acme"), "COUNTER")


@pytest.fixture(name="store")
def make_store() -> Iterator[Store]:
    with tables.store(SLICE) as store:
        yield store


def count(store: Store, delivery: Delivery, tenant_id: str = "acme") -> None:
    transaction = Transaction(tenant_id)
    delivery.mark(transaction, SLICE)
    transaction.update(Key(SLICE.key(tenant_id), "COUNTER"), Expression("ADD #n :one", {"one": 1}))
    store.commit(transaction)


def counted(store: Store) -> object:
    item = store.get(COUNTER)
    return item and item["n"]


class TestDelivery:
    def test_of_a_new_event_is_applied(self, store: Store) -> None:
        count(store, DELIVERY)
        assert counted(store) == 1

    def test_of_a_handled_event_is_refused(self, store: Store) -> None:
        count(store, DELIVERY)
        with pytest.raises(AlreadyHandled, match="run_1:1:1"):
            count(store, replace(DELIVERY, received_at=NOW + timedelta(days=1)))
        assert counted(store) == 1

    @pytest.mark.parametrize(
        "other", [replace(DELIVERY, event_id="run_1:1:2"), replace(DELIVERY, consumer="metering.other")]
    )
    def test_of_another_event_or_consumer_is_applied(self, store: Store, other: Delivery) -> None:
        count(store, DELIVERY)
        count(store, other)
        assert counted(store) == 2

    def test_of_another_tenant_is_applied(self, store: Store) -> None:
        count(store, DELIVERY, "other")
        count(store, DELIVERY)
        assert counted(store) == 1

    def test_mark_expires_after_35_days(self, store: Store) -> None:
        count(store, DELIVERY)
        mark = store.get(DELIVERY.mark_key(SLICE, "acme"))
        assert mark is not None
        assert mark["ttl"] == epoch(NOW + timedelta(days=35))
