"""The same request sent twice is done once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.declaration import Slice, Table
from shared.errors import IdempotencyKeyReused
from shared.storage.idempotency import KEPT, AlreadyDone, Once
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Transaction
from shared.times import epoch
from tests import tables

SLICE = Slice("RUNS", Table.ENTITIES)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ONCE = Once("acme", "user:8f1c POST /v1/runs", "key-1", "hash-of-the-body", NOW)


@pytest.fixture(name="store")
def make_store() -> Iterator[Store]:
    with tables.store(SLICE) as store:
        yield store


def resource(name: str) -> Key:
    return Key(SLICE.key("acme"), f"RUN#{name}")


def make(store: Store, once: Once, name: str) -> None:
    transaction = Transaction("acme")
    once.remember(transaction, SLICE, resource_id=name)
    transaction.put(resource(name).attributes, when=ABSENT)
    store.commit(transaction)


class TestEntropy:
    def test_is_the_same_for_the_same_request_sent_later(self) -> None:
        assert ONCE.entropy(80) == replace(ONCE, now=NOW + KEPT).entropy(80) < 2**80

    @pytest.mark.parametrize("other", [{"tenant_id": "acme2"}, {"scope": "user:2"}, {"key": "k"}, {"fingerprint": "f"}])
    def test_is_another_for_another_request(self, other: dict[str, str]) -> None:
        assert ONCE.entropy(80) != replace(ONCE, **other).entropy(80)


class TestOnce:
    def test_the_first_request_is_new(self, store: Store) -> None:
        ONCE.ensure_new(store)
        make(store, ONCE, "1")
        assert store.get(resource("1"))

    def test_the_second_is_answered_from_what_the_first_made(self, store: Store) -> None:
        make(store, ONCE, "1")
        with pytest.raises(AlreadyDone) as done:
            ONCE.ensure_new(store)
        assert done.value.resource_id == "1"

    def test_of_two_at_once_one_makes_it(self, store: Store) -> None:
        ONCE.ensure_new(store)
        ONCE.ensure_new(store)
        make(store, ONCE, "1")
        with pytest.raises(AlreadyDone) as done:
            make(store, ONCE, "2")
        assert done.value.resource_id == "1"
        assert store.get(resource("2")) is None

    @pytest.mark.parametrize(
        "other",
        [replace(ONCE, scope="user:other POST /v1/runs"), replace(ONCE, key="key-2"), replace(ONCE, tenant_id="other")],
        ids=["scope", "key", "tenant"],
    )
    def test_another_user_route_key_or_tenant_is_another_request(self, store: Store, other: Once) -> None:
        make(store, ONCE, "1")
        other.ensure_new(store)

    def test_another_body_is_refused_before_anything_is_done(self, store: Store) -> None:
        make(store, ONCE, "1")
        with pytest.raises(IdempotencyKeyReused):
            replace(ONCE, fingerprint="hash-of-another").ensure_new(store)

    def test_another_body_at_the_same_time_is_refused_too(self, store: Store) -> None:
        make(store, ONCE, "1")
        with pytest.raises(IdempotencyKeyReused):
            make(store, replace(ONCE, fingerprint="hash-of-another"), "2")
        assert store.get(resource("2")) is None

    @pytest.mark.parametrize(("after", "is_new"), [(KEPT - timedelta(seconds=1), False), (KEPT, True)])
    def test_a_record_counts_for_a_day_even_if_it_is_still_there(
        self, store: Store, after: timedelta, *, is_new: bool
    ) -> None:
        make(store, ONCE, "1")
        later = replace(ONCE, now=NOW + after)
        if is_new:
            later.ensure_new(store)
            make(store, later, "2")
            assert store.get(resource("2"))
        else:
            with pytest.raises(AlreadyDone):
                later.ensure_new(store)
            with pytest.raises(AlreadyDone):
                make(store, later, "2")

    def test_the_record_goes_by_itself(self, store: Store) -> None:
        make(store, ONCE, "1")
        record = store.get(ONCE.record_key(SLICE))
        assert record is not None
        assert record["ttl"] == epoch(NOW + timedelta(hours=24))

    def test_the_key_may_be_any_text(self) -> None:
        key = replace(ONCE, key="#" * 10_000).record_key(SLICE)
        assert key.pk.startswith("TENANT#acme#RUNS#IDEMPOTENCY#")
        assert len(key.pk) < 200
