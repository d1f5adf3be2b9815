"""Every statement of every role of the mesh follows the rules of least privilege."""

import copy
from collections.abc import Callable

import pytest

from tests.infra.privilege import problems
from tests.infra.templates import Json, Templates

DATA_ROLE = "ainexus-local-runs-worker-data"


class TestEveryRole:
    def test_follows_every_rule(self, local: Templates) -> None:
        found = {
            (role["RoleName"], problem)
            for role in _own_roles(local)
            for statement in local.statements(role["RoleName"])
            for problem in problems(statement)
        }
        assert found == set()

    def test_has_only_inline_policies(self, local: Templates) -> None:
        added = [name for name, _ in local.named("AWS::IAM::Policy")]
        managed = [role["RoleName"] for role in _own_roles(local) if role.get("ManagedPolicyArns")]
        assert (added, managed) == ([], [])

    def test_writes_only_its_own_log(self, local: Templates) -> None:
        for role in _own_roles(local):
            for statement in local.statements(role["RoleName"]):
                if "logs:PutLogEvents" in statement["Action"]:
                    assert statement["Resource"].endswith(f":log-group:/aws/lambda/{role['RoleName']}:*")

    def test_is_assumed_only_by_lambda_or_with_a_tag(self, local: Templates) -> None:
        for role in _own_roles(local):
            (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
            if role["RoleName"].endswith("-data"):
                assert trust["Condition"]["StringLike"] == {"aws:RequestTag/tenant_id": "?*"}
            else:
                assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


class TestFunctions:
    def test_with_tenant_access_have_no_table_permissions_of_their_own(self, local: Templates) -> None:
        actions = _actions(local, "runs-api")
        assert not {action for action in actions if action.startswith(("dynamodb:", "s3:"))}
        assert {"sts:AssumeRole", "sts:TagSession", "lambda:InvokeFunction"} <= actions

    def test_without_access_have_no_tenant_permissions(self, local: Templates) -> None:
        own = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
        reached = {action for action in _actions(local, "billing-webhook") - own if not action.startswith("dynamodb:")}
        assert reached == {"secretsmanager:GetSecretValue", "sqs:SendMessage"}
        [items] = [
            one for one in local.statements("ainexus-local-billing-webhook") if "dynamodb:GetItem" in one["Action"]
        ]
        assert items["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] == ["STRIPE#*"]

    def test_send_only_to_declared_queues(self, local: Templates) -> None:
        [sends] = [
            one for one in local.statements("ainexus-local-billing-webhook") if "sqs:SendMessage" in one["Action"]
        ]
        assert sends["Resource"].endswith(":ainexus-local-billing-inbox")

    def test_read_only_declared_secrets(self, local: Templates) -> None:
        (statement,) = [
            one
            for one in local.statements("ainexus-local-runs-worker")
            if "secretsmanager:GetSecretValue" in one["Action"]
        ]
        assert [arn.partition(":secret:")[2] for arn in statement["Resource"]] == ["ainexus-local/openai/key-??????"]

    def test_read_the_due_index_only_if_declared(self, local: Templates) -> None:
        reading = {
            role["RoleName"]
            for role in _own_roles(local)
            for statement in local.statements(role["RoleName"])
            if "/index/due" in str(statement["Resource"])
        }
        core = {"ainexus-local-authorizer", "ainexus-local-publisher"}
        assert reading == {"ainexus-local-runs-reaper", "ainexus-local-tenants-commands", *core}

    def test_manage_users_only_if_declared(self, local: Templates) -> None:
        managing = {
            role["RoleName"] for role in _own_roles(local) if "cognito-idp" in str(local.statements(role["RoleName"]))
        }
        assert managing == {"ainexus-local-tenants-commands"}


Change = Callable[[Json], object]

MUTATIONS: dict[str, Change] = {
    "no condition": lambda one: one.pop("Condition"),
    "no guards": lambda one: one["Condition"].pop("Null"),
    "no guard of the keys": lambda one: one["Condition"]["Null"].pop("dynamodb:LeadingKeys"),
    "no guard of the tag": lambda one: one["Condition"]["Null"].pop("aws:PrincipalTag/tenant_id"),
    "every action": lambda one: one.update(Action=["dynamodb:*"]),
    "scan": lambda one: one["Action"].append("dynamodb:Scan"),
    "every resource": lambda one: one.update(Resource="*"),
    "prefix of a tenant": lambda one: _set_keys(one, "TENANT#acme*"),
    "prefix of the tag": lambda one: _set_keys(one, "TENANT#${aws:PrincipalTag/tenant_id}*"),
    "every key": lambda one: _set_keys(one, "*"),
}


class TestRules:
    @pytest.mark.parametrize("change", MUTATIONS.values(), ids=MUTATIONS.keys())
    def test_detect_an_excessive_statement(self, local: Templates, change: Change) -> None:
        statement = copy.deepcopy(local.statements(DATA_ROLE)[0])
        assert problems(statement) == []
        change(statement)
        assert problems(statement) != []

    def test_detect_objects_of_all_tenants(self, local: Templates) -> None:
        (statement, *_) = [one for one in local.statements(DATA_ROLE) if "s3:GetObject" in one["Action"]]
        statement = copy.deepcopy(statement) | {"Resource": ["arn:aws:s3:::bucket/tenants/*"]}
        assert problems(statement) != []


def _set_keys(statement: Json, pattern: str) -> None:
    statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] = [pattern]


def _own_roles(templates: Templates) -> list[Json]:
    """Return all roles except the one with which the gateway writes its log."""
    return [role for role in templates.resources("AWS::IAM::Role") if "RoleName" in role]


def _actions(templates: Templates, function: str) -> set[str]:
    return {action for one in templates.statements(f"ainexus-local-{function}") for action in one["Action"]}
