"""A request that is sent twice is executed once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.declaration import Slice, Table
from shared.errors import IdempotencyKeyReused
from shared.storage.idempotency import RECORD_RETENTION, AlreadyDone, IdempotencyKey
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, Transaction
from shared.times import epoch
from tests import tables

SLICE = Slice("RUNS", Table.ENTITIES)
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
IDEMPOTENCY_KEY = IdempotencyKey("acme", "user:8f1c POST /v1/runs", "key-1", "hash-of-the-body", NOW)


@pytest.fixture(name="store")
def make_store() -> Iterator[Store]:
    with tables.store(SLICE) as store:
        yield store


def resource(name: str) -> Key:
    return Key(SLICE.key("acme"), f"RUN#{name}")


def create(store: Store, idempotency_key: IdempotencyKey, name: str) -> None:
    transaction = Transaction("acme")
    idempotency_key.remember(transaction, SLICE, resource_id=name)
    transaction.put(resource(name).attributes, when=ABSENT)
    store.commit(transaction)


class TestEntropy:
    def test_does_not_depend_on_the_time(self) -> None:
        assert IDEMPOTENCY_KEY.entropy(80) == replace(IDEMPOTENCY_KEY, now=NOW + RECORD_RETENTION).entropy(80) < 2**80

    @pytest.mark.parametrize("other", [{"tenant_id": "acme2"}, {"scope": "user:2"}, {"key": "k"}, {"fingerprint": "f"}])
    def test_differs_for_another_request(self, other: dict[str, str]) -> None:
        assert IDEMPOTENCY_KEY.entropy(80) != replace(IDEMPOTENCY_KEY, **other).entropy(80)


class TestIdempotencyKey:
    def test_accepts_the_first_request(self, store: Store) -> None:
        IDEMPOTENCY_KEY.ensure_new(store)
        create(store, IDEMPOTENCY_KEY, "1")
        assert store.get(resource("1"))

    def test_returns_the_resource_id_of_the_first_request(self, store: Store) -> None:
        create(store, IDEMPOTENCY_KEY, "1")
        with pytest.raises(AlreadyDone) as raised:
            IDEMPOTENCY_KEY.ensure_new(store)
        assert raised.value.resource_id == "1"

    def test_lets_one_of_two_concurrent_requests_commit(self, store: Store) -> None:
        IDEMPOTENCY_KEY.ensure_new(store)
        IDEMPOTENCY_KEY.ensure_new(store)
        create(store, IDEMPOTENCY_KEY, "1")
        with pytest.raises(AlreadyDone) as raised:
            create(store, IDEMPOTENCY_KEY, "2")
        assert raised.value.resource_id == "1"
        assert store.get(resource("2")) is None

    @pytest.mark.parametrize(
        "other",
        [
            replace(IDEMPOTENCY_KEY, scope="user:other POST /v1/runs"),
            replace(IDEMPOTENCY_KEY, key="key-2"),
            replace(IDEMPOTENCY_KEY, tenant_id="other"),
        ],
        ids=["scope", "key", "tenant"],
    )
    def test_separates_users_routes_keys_and_tenants(self, store: Store, other: IdempotencyKey) -> None:
        create(store, IDEMPOTENCY_KEY, "1")
        other.ensure_new(store)

    def test_refuses_another_body_before_the_commit(self, store: Store) -> None:
        create(store, IDEMPOTENCY_KEY, "1")
        with pytest.raises(IdempotencyKeyReused):
            replace(IDEMPOTENCY_KEY, fingerprint="hash-of-another").ensure_new(store)

    def test_refuses_another_body_in_the_commit(self, store: Store) -> None:
        create(store, IDEMPOTENCY_KEY, "1")
        with pytest.raises(IdempotencyKeyReused):
            create(store, replace(IDEMPOTENCY_KEY, fingerprint="hash-of-another"), "2")
        assert store.get(resource("2")) is None

    @pytest.mark.parametrize(
        ("after", "is_new"), [(RECORD_RETENTION - timedelta(seconds=1), False), (RECORD_RETENTION, True)]
    )
    def test_ignores_a_record_after_its_retention(self, store: Store, after: timedelta, *, is_new: bool) -> None:
        create(store, IDEMPOTENCY_KEY, "1")
        later = replace(IDEMPOTENCY_KEY, now=NOW + after)
        if is_new:
            later.ensure_new(store)
            create(store, later, "2")
            assert store.get(resource("2"))
        else:
            with pytest.raises(AlreadyDone):
                later.ensure_new(store)
            with pytest.raises(AlreadyDone):
                create(store, later, "2")

    def test_sets_the_ttl_of_the_record(self, store: Store) -> None:
        create(store, IDEMPOTENCY_KEY, "1")
        record = store.get(IDEMPOTENCY_KEY.record_key(SLICE))
        assert record is not None
        assert record["ttl"] == epoch(NOW + timedelta(hours=24))

    def test_accepts_any_text_as_key(self) -> None:
        key = replace(IDEMPOTENCY_KEY, key="#" * 10_000).record_key(SLICE)
        assert key.pk.startswith("TENANT#acme#RUNS#IDEMPOTENCY#")
        assert len(key.pk) < 200
