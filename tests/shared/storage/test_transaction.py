"""The arguments of expressions and actions."""

from shared.storage.items import Key
from shared.storage.transaction import ABSENT, Expression, Transaction, arguments_of

KEY = Key("TENANT#acme#RUNS", "RUN#1")
WIRE = {"PK": {"S": "TENANT#acme#RUNS"}, "SK": {"S": "RUN#1"}}


class TestExpression:
    def test_names_and_values_are_those_of_its_text(self) -> None:
        assert Expression("#status = :status", {"status": "queued"}).arguments("ConditionExpression") == {
            "ConditionExpression": "#status = :status",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":status": {"S": "queued"}},
        }

    def test_needs_neither(self) -> None:
        assert ABSENT.arguments("ConditionExpression") == {"ConditionExpression": "attribute_not_exists(PK)"}

    def test_a_path_names_each_of_its_parts(self) -> None:
        names = Expression("#limits.#max_users > #limits.#n").arguments("X")["ExpressionAttributeNames"]
        assert names == {"#limits": "limits", "#max_users": "max_users", "#n": "n"}

    def test_two_share_names_and_values(self) -> None:
        change = Expression("SET #n = :new", {"new": 2})
        when = Expression("#n = :old", {"old": 1})
        arguments = arguments_of({"UpdateExpression": change, "ConditionExpression": when})
        assert arguments["ExpressionAttributeNames"] == {"#n": "n"}
        assert arguments["ExpressionAttributeValues"] == {":new": {"N": "2"}, ":old": {"N": "1"}}

    def test_one_that_is_not_given_is_left_out(self) -> None:
        assert arguments_of({"ConditionExpression": None}) == {}


class TestTransaction:
    def test_a_put_carries_the_item(self) -> None:
        transaction = Transaction("acme")
        transaction.put({**KEY.attributes, "n": 1}, when=ABSENT)
        [action] = transaction.actions
        assert (action.operation, action.key) == ("Put", KEY)
        assert action.arguments == {
            "Item": {**WIRE, "n": {"N": "1"}},
            "ConditionExpression": "attribute_not_exists(PK)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def test_an_update_carries_change_and_condition(self) -> None:
        transaction = Transaction("acme")
        transaction.update(KEY, Expression("ADD #n :one", {"one": 1}), when=Expression("#n < :max", {"max": 3}))
        [action] = transaction.actions
        assert (action.operation, action.arguments["Key"]) == ("Update", WIRE)
        assert action.arguments["UpdateExpression"] == "ADD #n :one"
        assert action.arguments["ExpressionAttributeValues"] == {":one": {"N": "1"}, ":max": {"N": "3"}}

    def test_without_a_condition_nothing_is_asked_back(self) -> None:
        transaction = Transaction("acme")
        transaction.delete(KEY)
        assert transaction.actions[0].arguments == {"Key": WIRE}

    def test_a_check_changes_nothing(self) -> None:
        transaction = Transaction("acme")
        transaction.check(KEY, when=ABSENT)
        assert transaction.actions[0].operation == "ConditionCheck"

    def test_the_order_is_kept(self) -> None:
        transaction = Transaction("acme")
        transaction.put(KEY.attributes)
        transaction.delete(Key("a", "b"))
        assert [action.operation for action in transaction.actions] == ["Put", "Delete"]
