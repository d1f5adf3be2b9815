"""Retries: the errors that are retried, and for how long."""

from collections.abc import Callable

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from shared.deadline import invocation
from shared.errors import Conflict, DependencyUnavailable
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import ABSENT, PRESENT, Expression, Transaction, refuse_with
from tests.invocations import FakeLambdaContext
from tests.shared.storage.scripted_database import cancelled, failure, scripted_store, tokens

KEY = Key("TENANT#acme#RUNS", "RUN#1")
ITEM = {"PK": {"S": KEY.pk}, "SK": {"S": KEY.sk}, "n": {"N": "7"}}
REASONS = st.lists(
    st.sampled_from(["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]), min_size=1
)


class FirstRefused(Exception):
    """The error of a failed condition."""


class SecondRefused(Exception):
    """The error of another failed condition."""


def two_puts() -> Transaction:
    transaction = Transaction("acme")
    transaction.put(KEY.attributes, when=ABSENT, otherwise=refuse_with(FirstRefused()))
    transaction.put({**Key(KEY.pk, "RUN#2").attributes}, when=PRESENT, otherwise=refuse_with(SecondRefused()))
    return transaction


class TestCommit:
    @given(REASONS)
    def test_retries_only_conflicts_and_throttling(self, reasons: list[str]) -> None:
        store, database, waits = scripted_store(cancelled(*reasons), {})
        store.commit(two_puts())
        assert (len(database.requests), len(waits.seconds)) == (2, 1)

    def test_retries_with_the_same_token(self) -> None:
        store, database, _ = scripted_store(
            cancelled("TransactionConflict", "None"), failure("ThrottlingException"), {}
        )
        store.commit(two_puts())
        assert len(database.requests) == 3
        assert len(set(tokens(database))) == 1

    def test_uses_a_token_for_each_transaction(self) -> None:
        store, database, _ = scripted_store({})
        store.commit(two_puts())
        store.commit(two_puts())
        assert len(set(tokens(database))) == 2

    def test_does_not_retry_a_failed_condition(self) -> None:
        store, database, waits = scripted_store(cancelled("None", "ConditionalCheckFailed"), {})
        with pytest.raises(SecondRefused):
            store.commit(two_puts())
        assert (len(database.requests), waits.seconds) == (1, [])

    def test_does_not_retry_a_failed_condition_with_a_conflict(self) -> None:
        store, database, _ = scripted_store(cancelled("TransactionConflict", "ConditionalCheckFailed"), {})
        with pytest.raises(SecondRefused):
            store.commit(two_puts())
        assert len(database.requests) == 1

    def test_raises_the_refusal_of_the_first_failed_condition(self) -> None:
        store, _, _ = scripted_store(cancelled("ConditionalCheckFailed", "ConditionalCheckFailed"))
        with pytest.raises(FirstRefused):
            store.commit(two_puts())

    def test_passes_the_existing_item_to_the_refusal(self) -> None:
        seen: list[object] = []
        transaction = Transaction("acme")
        transaction.put(KEY.attributes, when=ABSENT, otherwise=lambda existing: seen.append(existing) or FirstRefused())
        store, _, _ = scripted_store(cancelled("ConditionalCheckFailed", existing=[ITEM]))
        with pytest.raises(FirstRefused):
            store.commit(transaction)
        assert seen == [{**KEY.attributes, "n": 7}]

    def test_raises_conflict_without_a_refusal(self) -> None:
        transaction = Transaction("acme")
        transaction.put(KEY.attributes, when=ABSENT)
        store, _, _ = scripted_store(cancelled("ConditionalCheckFailed"))
        with pytest.raises(Conflict, match="at the same time"):
            store.commit(transaction)

    @pytest.mark.parametrize("error", [cancelled("ValidationError", "None"), failure("ValidationException")])
    def test_raises_validation_errors(self, error: Exception) -> None:
        store, database, _ = scripted_store(error)
        with pytest.raises(type(error), match=r"scripted error|cancelled"):
            store.commit(two_puts())
        assert len(database.requests) == 1


class TestTryCommit:
    def test_returns_the_failed_conditions(self) -> None:
        store, _, _ = scripted_store(
            cancelled("ConditionalCheckFailed", "ConditionalCheckFailed", existing=[ITEM, None])
        )
        refused = store.try_commit(two_puts())
        assert [(found.action.key.sk, found.existing is None) for found in refused] == [
            ("RUN#1", False),
            ("RUN#2", True),
        ]

    def test_returns_nothing_after_a_commit(self) -> None:
        assert scripted_store({})[0].try_commit(two_puts()) == []


def update(store: Store) -> object:
    return store.update(KEY, Expression("ADD #n :one", {"one": 1}), when=PRESENT)


def query(store: Store) -> object:
    return store.query(Expression("#PK = :pk", {"pk": KEY.pk}))


CALLS: list[Callable[[Store], object]] = [
    lambda store: store.get(KEY),
    lambda store: store.get_many([KEY]),
    query,
    update,
    lambda store: store.commit(two_puts()),
]


@pytest.mark.parametrize("call", CALLS, ids=["get", "get_many", "query", "update", "commit"])
class TestRetries:
    @pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
    def test_end_after_five_seconds(self, call: Callable[[Store], object], code: str) -> None:
        store, database, waits = scripted_store(failure(code))
        with pytest.raises(DependencyUnavailable) as raised:
            call(store)
        assert raised.value.retry_after_s == 1
        assert 5 <= sum(waits.seconds) < 6
        assert len(database.requests) == len(waits.seconds) + 1

    def test_back_off_up_to_one_second(self, call: Callable[[Store], object]) -> None:
        store, _, waits = scripted_store(failure("ThrottlingException"))
        with pytest.raises(DependencyUnavailable):
            call(store)
        assert waits.ceilings[:7] == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0]
        assert set(waits.ceilings[7:]) == {1.0}

    def test_do_not_follow_a_connection_error(self, call: Callable[[Store], object]) -> None:
        store, database, _ = scripted_store(EndpointConnectionError(endpoint_url="https://database.invalid"))
        with pytest.raises(DependencyUnavailable):
            call(store)
        assert len(database.requests) == 1


def test_retries_with_short_waits_are_bounded() -> None:
    store, database, waits = scripted_store(failure("ThrottlingException"))
    impatient = Store(database, table="entities", owned=store.owned, sleep=waits.sleep, jitter=lambda low, _: low)
    with pytest.raises(DependencyUnavailable):
        impatient.get(KEY)
    assert len(database.requests) <= 201


class TestUpdate:
    def test_returns_none_if_the_condition_fails(self) -> None:
        store, database, _ = scripted_store(failure("ConditionalCheckFailedException"))
        assert update(store) is None
        assert len(database.requests) == 1

    def test_returns_the_new_item(self) -> None:
        store, database, _ = scripted_store(failure("TransactionConflictException"), {"Attributes": ITEM})
        assert update(store) == {**KEY.attributes, "n": 7}
        assert len(database.requests) == 2


class TestGetMany:
    KEYS = tuple(Key(KEY.pk, f"RUN#{number}") for number in range(150))

    def response(self, *keys: Key, unprocessed_keys: tuple[Key, ...] = ()) -> dict[str, object]:
        unprocessed = {"entities": {"Keys": [key.wire for key in unprocessed_keys]}} if unprocessed_keys else {}
        return {"Responses": {"entities": [key.wire for key in keys]}, "UnprocessedKeys": unprocessed}

    def test_reads_one_hundred_keys_per_request(self) -> None:
        store, database, _ = scripted_store(self.response(*self.KEYS[:100]), self.response(*self.KEYS[100:]))
        assert set(store.get_many(self.KEYS)) == set(self.KEYS)
        assert [len(request["RequestItems"]["entities"]["Keys"]) for request in database.requests] == [100, 50]

    def test_retries_unprocessed_keys(self) -> None:
        first, second, third = self.KEYS[:3]
        store, database, waits = scripted_store(
            self.response(first, unprocessed_keys=(second, third)), self.response(second)
        )
        assert set(store.get_many([first, second, third])) == {first, second}
        assert database.requests[1]["RequestItems"]["entities"]["Keys"] == [second.wire, third.wire]
        assert len(waits.seconds) == 1

    def test_raises_if_keys_stay_unprocessed(self) -> None:
        store, _, _ = scripted_store(self.response(unprocessed_keys=self.KEYS[:1]))
        with pytest.raises(DependencyUnavailable):
            store.get_many(self.KEYS[:1])

    def test_sends_no_request_without_keys(self) -> None:
        store, database, _ = scripted_store({})
        assert store.get_many([]) == {}
        assert database.requests == []


class TestDeadline:
    def test_in_the_past_allows_no_retry(self) -> None:
        store, database, waits = scripted_store(failure("ThrottlingException"), {})
        with invocation(FakeLambdaContext(0)), pytest.raises(DependencyUnavailable):
            store.commit(two_puts())
        assert (len(database.requests), waits.seconds) == (1, [])
