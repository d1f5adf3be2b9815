"""The table in memory and the local engine return the same responses, as do botocore and the lean client."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, cast
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from shared.aws.client import Caller
from shared.aws.connection import Connections
from shared.aws.services import DynamoDB
from shared.aws.signing import Keys, Scope
from shared.storage.items import item_from_wire, item_to_wire
from tests.conflicts import ConflictingDynamoDB
from tests.dynamodb.memory import MemoryDynamoDB
from tests.mesh import Mesh
from tests.tables import REGION, make_table


class Table:
    """A table with a unique name, and short forms of requests."""

    def __init__(self, client: Any, name: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self.client = client
        self._name = name
        self._pk = f"TENANT#{uuid4()}"

    def key(self, sk: str) -> dict[str, Any]:
        return {"PK": {"S": self._pk}, "SK": {"S": sk}}

    def item(self, sk: str, **attributes: Any) -> dict[str, Any]:  # noqa: ANN401 — any attributes
        return {**self.key(sk), **item_to_wire(attributes)}

    def put(self, sk: str, *, absent: bool = False, **attributes: Any) -> dict[str, Any]:  # noqa: ANN401 — any attributes
        condition = {"ConditionExpression": "attribute_not_exists(PK)", **_RETURN_EXISTING} if absent else {}
        return {"Put": {"TableName": self._name, "Item": self.item(sk, **attributes), **condition}}

    def update(self, sk: str, text: str, when: str | None = None, **values: Any) -> dict[str, Any]:  # noqa: ANN401 — any values
        return {"Update": {"TableName": self._name, "Key": self.key(sk), **_update(text, when, values)}}

    def delete(self, sk: str) -> dict[str, Any]:
        return {"Delete": {"TableName": self._name, "Key": self.key(sk)}}

    def check(self, sk: str, when: str) -> dict[str, Any]:
        condition = {"ConditionExpression": when, **_RETURN_EXISTING}
        return {"ConditionCheck": {"TableName": self._name, "Key": self.key(sk), **condition}}

    def transact(self, *actions: dict[str, Any], token: str | None = None) -> None:
        self.client.transact_write_items(TransactItems=list(actions), ClientRequestToken=token or str(uuid4()))

    def update_alone(self, sk: str, text: str, when: str | None = None, **values: Any) -> dict[str, Any]:  # noqa: ANN401 — any values
        arguments = {"TableName": self._name, "Key": self.key(sk), "ReturnValues": "ALL_NEW"}
        return item_from_wire(self.client.update_item(**arguments, **_update(text, when, values))["Attributes"])

    def get(self, sk: str) -> dict[str, Any] | None:
        response = self.client.get_item(TableName=self._name, Key=self.key(sk), ConsistentRead=True)
        found = item_from_wire(response["Item"]) if "Item" in response else None
        return found and {name: value for name, value in found.items() if name != "PK"}

    def query(self, text: str, *, index: str | None = None, **arguments: Any) -> Any:  # noqa: ANN401 — any arguments
        values = {**item_to_wire(arguments.pop("values", {})), ":pk": {"S": self._pk}}
        named = {"IndexName": index} if index else {"ConsistentRead": True}
        return self.client.query(
            TableName=self._name,
            KeyConditionExpression=text,
            ExpressionAttributeValues=values,
            **named,
            **arguments,
        )

    @property
    def pk(self) -> str:
        return self._pk


_RETURN_EXISTING = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _update(text: str, when: str | None, values: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {"UpdateExpression": text}
    if when:
        arguments["ConditionExpression"] = when
    if values:
        arguments["ExpressionAttributeValues"] = item_to_wire({f":{name}": value for name, value in values.items()})
    return arguments


_MESH_PARAMS = [pytest.param(name, marks=pytest.mark.mesh) for name in ("engine", "engine, lean")]


@pytest.fixture(params=["memory", *_MESH_PARAMS])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """Yield a table of each of the three clients."""
    if request.param == "memory":
        yield Table(MemoryDynamoDB(), "memory")
        return
    mesh: Mesh = request.getfixturevalue("mesh")
    client, name = mesh.clients.dynamodb, f"conformance-{uuid4()}"
    make_table(client, name)
    endpoint, keys = mesh.target.outputs["EngineEndpoint"], Keys("111111111111", "any", None)
    with closing(Connections(endpoint, connect_timeout_s=2, read_timeout_s=10)) as connections:
        lean = DynamoDB(Caller(connections, scope=Scope("dynamodb", REGION), keys=lambda: keys, attempts=3))
        yield Table(lean if "lean" in request.param else client, name)
    client.delete_table(TableName=name)


def reasons_of(error: ClientError) -> list[dict[str, Any]]:
    """Return the cancellation reasons of a transaction, which botocore's types do not contain."""
    return cast("Any", error.response)["CancellationReasons"]


def cancellation_reasons(table: Table, *actions: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the reasons for which a transaction of these actions is cancelled."""
    with pytest.raises(ClientError) as caught:
        table.transact(*actions)
    assert caught.value.response.get("Error", {}).get("Code") == "TransactionCanceledException"
    return reasons_of(caught.value)


class TestTransactions:
    def test_execute_all_actions(self, table: Table) -> None:
        table.transact(table.put("a", n=1), table.put("b"))
        table.transact(
            table.put("c", absent=True),
            table.update("a", "ADD n :n SET w = :w", "attribute_exists(PK)", n=2, w="x"),
            table.delete("b"),
        )
        assert (table.get("a"), table.get("b"), table.get("c")) == ({"SK": "a", "n": 3, "w": "x"}, None, {"SK": "c"})

    def test_change_nothing_if_one_condition_fails_and_name_it(self, table: Table) -> None:
        table.transact(table.put("there", n=7))
        reasons = cancellation_reasons(
            table,
            table.put("new", absent=True),
            table.put("there", absent=True, n=8),
            table.update("other", "ADD n :n", n=1),
        )
        assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed", "None"]
        assert reasons[1]["Item"] == table.item("there", n=7)
        assert (table.get("new"), table.get("other")) == (None, None)
        assert table.get("there") == {"SK": "there", "n": 7}

    def test_name_all_failed_conditions(self, table: Table) -> None:
        table.transact(table.put("one"), table.put("two"))
        reasons = cancellation_reasons(
            table, table.put("one", absent=True), table.put("x"), table.put("two", absent=True)
        )
        codes = [reason["Code"] for reason in reasons]
        assert codes == ["ConditionalCheckFailed", "None", "ConditionalCheckFailed"]

    def test_return_no_item_if_it_does_not_exist(self, table: Table) -> None:
        [reason] = cancellation_reasons(table, table.check("nothing", "attribute_exists(PK)"))
        assert (reason["Code"], reason.get("Item")) == ("ConditionalCheckFailed", None)

    @pytest.mark.parametrize(
        ("when", "holds"),
        [
            ("attribute_exists(PK) AND attribute_not_exists(closed)", True),
            ("attribute_not_exists(n)", False),
            ("attribute_not_exists(PK) OR n = :n", True),
            ("n < :n", False),
            ("n <= :n", True),
            ("attribute_exists(closed) AND attribute_exists(PK)", False),
            ("NOT attribute_exists(closed)", True),
            ("n < most", True),
            ("most < n", False),
        ],
    )
    def test_evaluate_conditions(self, table: Table, when: str, holds: bool) -> None:  # noqa: FBT001 — a parameter of the test
        table.transact(table.put("a", n=5, most=7))
        change = table.update("a", "SET seen = :n", when, n=5)
        if holds:
            table.transact(change)
        else:
            assert [reason["Code"] for reason in cancellation_reasons(table, change)] == ["ConditionalCheckFailed"]
        assert ("seen" in (table.get("a") or {})) is holds

    def test_refuse_more_than_100_actions(self, table: Table) -> None:
        with pytest.raises(ClientError, match="ValidationException"):
            table.transact(*(table.put(str(number)) for number in range(101)))
        table.transact(*(table.put(str(number)) for number in range(100)))

    def test_refuse_an_item_that_is_too_large(self, table: Table) -> None:
        with pytest.raises(ClientError, match="ValidationException"):
            table.transact(table.put("a"), table.put("b", text="x" * 410_000))
        assert table.get("a") is None
        table.transact(table.put("b", text="x" * 400_000))

    def test_refuse_two_actions_on_one_item(self, table: Table) -> None:
        with pytest.raises(ClientError, match="ValidationException"):
            table.transact(table.put("a"), table.update("a", "ADD n :n", n=1))
        assert table.get("a") is None

    def test_execute_once_per_token(self, table: Table) -> None:
        token = str(uuid4())
        for _ in range(2):
            table.transact(table.update("a", "ADD n :n", n=1), token=token)
        assert table.get("a") == {"SK": "a", "n": 1}


class TestUpdates:
    def test_create_the_item(self, table: Table) -> None:
        assert table.update_alone("a", "ADD n :n SET w = if_not_exists(w, :w)", n=-2, w="x")["n"] == -2

    def test_evaluate_operands_against_the_previous_item(self, table: Table) -> None:
        table.update_alone("a", "SET n = :n, m = :m", n=1, m=10)
        after = table.update_alone("a", "SET n = n + :one, m = n, w = if_not_exists(w, :one) REMOVE gone", one=1)
        assert (after["n"], after["m"], after["w"]) == (2, 1, 1)

    def test_remove_an_attribute(self, table: Table) -> None:
        table.update_alone("a", "SET n = :n, m = :n", n=1)
        assert "n" not in table.update_alone("a", "REMOVE n")

    def test_change_nested_maps_and_lists(self, table: Table) -> None:
        table.transact(table.put("a", held={}, payload=[1]))
        after = table.update_alone(
            "a", "SET held.one = :one, payload = list_append(payload, :more)", one={"n": 1}, more=[2]
        )
        assert (after["held"], after["payload"]) == ({"one": {"n": 1}}, [1, 2])
        table.update_alone("a", "SET held.one.n = :n", "held.one.n = :one AND size(held) < :two", n=5, one=1, two=2)
        with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
            table.update_alone("a", "SET held.two = :two", "attribute_not_exists(held.one)", two=2)
        with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
            table.update_alone("a", "SET held.two = :two", "size(held) < :one", one=1, two=2)
        assert table.update_alone("a", "REMOVE held.one", "attribute_exists(held.one)")["held"] == {}

    def test_return_the_existing_item_if_the_condition_fails(self, table: Table) -> None:
        for existing in (None, table.item("a", n=1)):
            with pytest.raises(ClientError) as caught:
                table.client.update_item(**table.update("a", "SET n = :n", "n = :n", n=7)["Update"], **_RETURN_EXISTING)
            assert caught.value.response.get("Item") == existing
            table.transact(table.put("a", n=1))

    def test_raise_if_the_condition_fails(self, table: Table) -> None:
        with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
            table.update_alone("a", "SET n = :n", "attribute_exists(PK)", n=1)
        assert table.get("a") is None


class TestReads:
    def test_query_a_range_in_both_directions(self, table: Table) -> None:
        table.transact(*(table.put(f"s#{number}") for number in range(5)), table.put("t"))
        values = {":a": "s#1", ":b": "s#3"}
        found = table.query("PK = :pk AND SK BETWEEN :a AND :b", values=values)["Items"]
        assert [item["SK"]["S"] for item in found] == ["s#1", "s#2", "s#3"]
        newest = table.query("PK = :pk AND begins_with(SK, :a)", values={":a": "s#"}, ScanIndexForward=False, Limit=2)
        assert [item["SK"]["S"] for item in newest["Items"]] == ["s#4", "s#3"]
        rest = table.query(
            "PK = :pk AND begins_with(SK, :a)",
            values={":a": "s#"},
            ScanIndexForward=False,
            ExclusiveStartKey=newest["LastEvaluatedKey"],
        )
        assert [item["SK"]["S"] for item in rest["Items"]] == ["s#2", "s#1", "s#0"]
        assert "LastEvaluatedKey" not in rest

    def test_query_an_index_that_contains_keys_only(self, table: Table) -> None:
        index_key = {"due_pk": table.pk, "due_sk": "2026"}
        table.transact(table.put("a", n=1, due_pk=table.pk, due_sk="2026"), table.put("b"))
        [found] = table.query("due_pk = :pk AND due_sk <= :now", index="due", values={":now": "2027"})["Items"]
        assert item_from_wire(found) == {"PK": table.pk, "SK": "a", **index_key}
        table.update_alone("a", "REMOVE due_pk, due_sk")
        assert table.query("due_pk = :pk AND due_sk <= :now", index="due", values={":now": "2027"})["Items"] == []

    def test_end_a_page_at_one_megabyte(self, table: Table) -> None:
        for number in range(4):
            table.transact(table.put(str(number), text="x" * 390_000))
        page = table.query("PK = :pk")
        assert 0 < len(page["Items"]) < 4
        rest = table.query("PK = :pk", ExclusiveStartKey=page["LastEvaluatedKey"])
        assert len(page["Items"]) + len(rest["Items"]) == 4


def test_overlapping_transactions_are_cancelled_and_change_nothing(table: Table) -> None:
    conflicting = ConflictingDynamoDB(table.client)
    table.client = conflicting

    def increment(_: int) -> bool:
        try:
            table.transact(table.update("hot", "ADD n :n", n=1))
        except ClientError as error:
            reasons = reasons_of(error)
            assert [reason["Code"] for reason in reasons] == ["TransactionConflict"]
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        committed = sum(pool.map(increment, range(64)))
    assert table.get("hot") == {"SK": "hot", "n": committed}
    assert conflicting.cancelled == 64 - committed > 0
