"""What is tried again, for how long, and what is not."""

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
from tests.invocations import Remaining
from tests.shared.storage.scripted import cancelled, failure, scripted_store, tokens

KEY = Key("TENANT#acme#RUNS", "RUN#1")
ITEM = {"PK": {"S": KEY.pk}, "SK": {"S": KEY.sk}, "n": {"N": "7"}}
REASONS = st.lists(
    st.sampled_from(["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]), min_size=1
)


class Full(Exception):
    """A condition that the tests let fail."""


class Gone(Exception):
    """Another one."""


def two_puts() -> Transaction:
    transaction = Transaction("acme")
    transaction.put(KEY.attributes, when=ABSENT, otherwise=refuse_with(Full()))
    transaction.put({**Key(KEY.pk, "RUN#2").attributes}, when=PRESENT, otherwise=refuse_with(Gone()))
    return transaction


class TestCommit:
    @given(REASONS)
    def test_conflicts_and_throttling_alone_are_tried_again(self, reasons: list[str]) -> None:
        store, database, waits = scripted_store(cancelled(*reasons), {})
        store.commit(two_puts())
        assert (len(database.asked), len(waits.seconds)) == (2, 1)

    def test_under_the_same_token(self) -> None:
        store, database, _ = scripted_store(
            cancelled("TransactionConflict", "None"), failure("ThrottlingException"), {}
        )
        store.commit(two_puts())
        assert len(database.asked) == 3
        assert len(set(tokens(database))) == 1

    def test_two_transactions_have_two_tokens(self) -> None:
        store, database, _ = scripted_store({})
        store.commit(two_puts())
        store.commit(two_puts())
        assert len(set(tokens(database))) == 2

    def test_a_failed_condition_is_not_tried_again(self) -> None:
        store, database, waits = scripted_store(cancelled("None", "ConditionalCheckFailed"), {})
        with pytest.raises(Gone):
            store.commit(two_puts())
        assert (len(database.asked), waits.seconds) == (1, [])

    def test_a_failed_condition_beside_a_conflict_is_not_either(self) -> None:
        store, database, _ = scripted_store(cancelled("TransactionConflict", "ConditionalCheckFailed"), {})
        with pytest.raises(Gone):
            store.commit(two_puts())
        assert len(database.asked) == 1

    def test_the_first_failed_condition_decides(self) -> None:
        store, _, _ = scripted_store(cancelled("ConditionalCheckFailed", "ConditionalCheckFailed"))
        with pytest.raises(Full):
            store.commit(two_puts())

    def test_the_refusal_is_told_what_was_there(self) -> None:
        seen: list[object] = []
        transaction = Transaction("acme")
        transaction.put(KEY.attributes, when=ABSENT, otherwise=lambda there: seen.append(there) or Full())
        store, _, _ = scripted_store(cancelled("ConditionalCheckFailed", there=[ITEM]))
        with pytest.raises(Full):
            store.commit(transaction)
        assert seen == [{**KEY.attributes, "n": 7}]

    def test_without_an_own_refusal_it_was_changed_at_the_same_time(self) -> None:
        transaction = Transaction("acme")
        transaction.put(KEY.attributes, when=ABSENT)
        store, _, _ = scripted_store(cancelled("ConditionalCheckFailed"))
        with pytest.raises(Conflict, match="at the same time"):
            store.commit(transaction)

    @pytest.mark.parametrize("error", [cancelled("ValidationError", "None"), failure("ValidationException")])
    def test_what_is_our_own_mistake_is_raised(self, error: Exception) -> None:
        store, database, _ = scripted_store(error)
        with pytest.raises(type(error), match=r"as told|cancelled"):
            store.commit(two_puts())
        assert len(database.asked) == 1


class TestTryCommit:
    def test_says_which_conditions_failed(self) -> None:
        store, _, _ = scripted_store(cancelled("ConditionalCheckFailed", "ConditionalCheckFailed", there=[ITEM, None]))
        refused = store.try_commit(two_puts())
        assert [(found.action.key.sk, found.there is None) for found in refused] == [("RUN#1", False), ("RUN#2", True)]

    def test_says_nothing_when_the_change_was_made(self) -> None:
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
class TestPatience:
    @pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
    def test_gives_up_after_five_seconds(self, call: Callable[[Store], object], code: str) -> None:
        store, database, waits = scripted_store(failure(code))
        with pytest.raises(DependencyUnavailable) as gave_up:
            call(store)
        assert gave_up.value.retry_after_s == 1
        assert 5 <= sum(waits.seconds) < 6
        assert len(database.asked) == len(waits.seconds) + 1

    def test_waits_longer_each_time_up_to_a_second(self, call: Callable[[Store], object]) -> None:
        store, _, waits = scripted_store(failure("ThrottlingException"))
        with pytest.raises(DependencyUnavailable):
            call(store)
        assert waits.ceilings[:7] == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0]
        assert set(waits.ceilings[7:]) == {1.0}

    def test_a_database_that_does_not_answer_is_said_at_once(self, call: Callable[[Store], object]) -> None:
        store, database, _ = scripted_store(EndpointConnectionError(endpoint_url="https://database.invalid"))
        with pytest.raises(DependencyUnavailable):
            call(store)
        assert len(database.asked) == 1


def test_short_waits_do_not_make_it_try_for_ever() -> None:
    store, database, waits = scripted_store(failure("ThrottlingException"))
    hasty = Store(database, table="entities", owned=store.owned, sleep=waits.sleep, jitter=lambda low, _: low)
    with pytest.raises(DependencyUnavailable):
        hasty.get(KEY)
    assert len(database.asked) <= 201


class TestUpdate:
    def test_a_condition_that_does_not_hold_is_an_answer(self) -> None:
        store, database, _ = scripted_store(failure("ConditionalCheckFailedException"))
        assert update(store) is None
        assert len(database.asked) == 1

    def test_says_what_is_there_afterwards(self) -> None:
        store, database, _ = scripted_store(failure("TransactionConflictException"), {"Attributes": ITEM})
        assert update(store) == {**KEY.attributes, "n": 7}
        assert len(database.asked) == 2


class TestGetMany:
    KEYS = tuple(Key(KEY.pk, f"RUN#{number}") for number in range(150))

    def answer(self, *keys: Key, left: tuple[Key, ...] = ()) -> dict[str, object]:
        unprocessed = {"entities": {"Keys": [key.wire for key in left]}} if left else {}
        return {"Responses": {"entities": [key.wire for key in keys]}, "UnprocessedKeys": unprocessed}

    def test_asks_for_a_hundred_at_once(self) -> None:
        store, database, _ = scripted_store(self.answer(*self.KEYS[:100]), self.answer(*self.KEYS[100:]))
        assert set(store.get_many(self.KEYS)) == set(self.KEYS)
        assert [len(asked["RequestItems"]["entities"]["Keys"]) for asked in database.asked] == [100, 50]

    def test_asks_again_for_what_was_left_over(self) -> None:
        one, two, three = self.KEYS[:3]
        store, database, waits = scripted_store(self.answer(one, left=(two, three)), self.answer(two))
        assert set(store.get_many([one, two, three])) == {one, two}
        assert database.asked[1]["RequestItems"]["entities"]["Keys"] == [two.wire, three.wire]
        assert len(waits.seconds) == 1

    def test_gives_up_when_it_is_left_over_for_ever(self) -> None:
        store, _, _ = scripted_store(self.answer(left=self.KEYS[:1]))
        with pytest.raises(DependencyUnavailable):
            store.get_many(self.KEYS[:1])

    def test_nothing_asked_for_is_nothing_read(self) -> None:
        store, database, _ = scripted_store({})
        assert store.get_many([]) == {}
        assert database.asked == []


class TestDeadline:
    def test_in_the_past_allows_no_retry(self) -> None:
        store, database, waits = scripted_store(failure("ThrottlingException"), {})
        with invocation(Remaining(0)), pytest.raises(DependencyUnavailable):
            store.commit(two_puts())
        assert (len(database.asked), waits.seconds) == (1, [])
