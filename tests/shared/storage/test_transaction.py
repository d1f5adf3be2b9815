"""The arguments of expressions and actions."""

from shared.storage.items import Key
from shared.storage.transaction import ABSENT, Expression, Transaction, arguments_of

KEY = Key("TENANT#acme#RUNS", "RUN#1")
WIRE = {"PK": {"S": "TENANT#acme#RUNS"}, "SK": {"S": "RUN#1"}}


class TestExpression:
    def test_derives_names_from_its_text(self) -> None:
        assert Expression("#status = :status", {"status": "queued"}).arguments("ConditionExpression") == {
            "ConditionExpression": "#status = :status",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":status": {"S": "queued"}},
        }

    def test_can_have_no_names_and_values(self) -> None:
        assert ABSENT.arguments("ConditionExpression") == {"ConditionExpression": "attribute_not_exists(PK)"}

    def test_names_each_part_of_a_path(self) -> None:
        names = Expression("#limits.#max_users > #limits.#n").arguments("X")["ExpressionAttributeNames"]
        assert names == {"#limits": "limits", "#max_users": "max_users", "#n": "n"}

    def test_shares_names_and_values_with_another_expression(self) -> None:
        change = Expression("SET #n = :new", {"new": 2})
        when = Expression("#n = :old", {"old": 1})
        arguments = arguments_of({"UpdateExpression": change, "ConditionExpression": when})
        assert arguments["ExpressionAttributeNames"] == {"#n": "n"}
        assert arguments["ExpressionAttributeValues"] == {":new": {"N": "2"}, ":old": {"N": "1"}}

    def test_is_omitted_if_none(self) -> None:
        assert arguments_of({"ConditionExpression": None}) == {}


class TestTransaction:
    def test_put_contains_the_item(self) -> None:
        transaction = Transaction("acme")
        transaction.put({**KEY.attributes, "n": 1}, when=ABSENT)
        [action] = transaction.actions
        assert (action.operation, action.key) == ("Put", KEY)
        assert action.arguments == {
            "Item": {**WIRE, "n": {"N": "1"}},
            "ConditionExpression": "attribute_not_exists(PK)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def test_update_contains_change_and_condition(self) -> None:
        transaction = Transaction("acme")
        transaction.update(KEY, Expression("ADD #n :one", {"one": 1}), when=Expression("#n < :max", {"max": 3}))
        [action] = transaction.actions
        assert (action.operation, action.arguments["Key"]) == ("Update", WIRE)
        assert action.arguments["UpdateExpression"] == "ADD #n :one"
        assert action.arguments["ExpressionAttributeValues"] == {":one": {"N": "1"}, ":max": {"N": "3"}}

    def test_action_without_a_condition_requests_no_item(self) -> None:
        transaction = Transaction("acme")
        transaction.delete(KEY)
        assert transaction.actions[0].arguments == {"Key": WIRE}

    def test_check_is_a_condition_check(self) -> None:
        transaction = Transaction("acme")
        transaction.check(KEY, when=ABSENT)
        assert transaction.actions[0].operation == "ConditionCheck"

    def test_keeps_the_order_of_actions(self) -> None:
        transaction = Transaction("acme")
        transaction.put(KEY.attributes)
        transaction.delete(Key("a", "b"))
        assert [action.operation for action in transaction.actions] == ["Put", "Delete"]
