"""A tenant's session has access to that tenant's slice only. Verified by simulation and by mutations of the policy."""

import copy
from collections.abc import Callable, Sequence

import pytest

from tests.infra.simulation import allowed, listing, refused, simulate, simulation, unexpected_decisions
from tests.infra.templates import ACCOUNT, Json, Templates

pytestmark = pytest.mark.usefixtures("simulator")

_TABLES = f"arn:aws:dynamodb:us-east-2:{ACCOUNT}:table/ainexus-local"
ENTITIES, TENANTS, USAGE = f"{_TABLES}-entities", f"{_TABLES}-tenants", f"{_TABLES}-usage"
OBJECTS = f"arn:aws:s3:::ainexus-local-artifacts-{ACCOUNT}"
RUNS = "TENANT#acme#RUNS"
SECRETS = f"arn:aws:secretsmanager:us-east-2:{ACCOUNT}:secret:ainexus-local"
MODELS = "arn:aws:bedrock:us-west-2::foundation-model"

GET, PUT, QUERY = "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"
READ_SECRET, CALL_MODEL = "secretsmanager:GetSecretValue", "bedrock:InvokeModelWithResponseStream"

RUNS_CASES = (
    allowed("own key", GET, ENTITIES, (RUNS,)),
    allowed("own key below", PUT, ENTITIES, (f"{RUNS}#run_1",)),
    allowed("own keys together", "dynamodb:BatchGetItem", ENTITIES, (RUNS, f"{RUNS}#run_1")),
    allowed("own condition", "dynamodb:ConditionCheckItem", ENTITIES, (f"{RUNS}#run_1",)),
    allowed("own list", QUERY, f"{ENTITIES}/index/list", (RUNS,)),
    refused("another tenant", GET, ENTITIES, ("TENANT#other#RUNS",)),
    refused("another tenant's write", PUT, ENTITIES, ("TENANT#other#RUNS#run_1",)),
    refused("another tenant among own", "dynamodb:BatchGetItem", ENTITIES, (RUNS, "TENANT#other#RUNS")),
    refused("another tenant's list", QUERY, f"{ENTITIES}/index/list", ("TENANT#other#RUNS",)),
    refused("twin by prefix", GET, ENTITIES, ("TENANT#acme2#RUNS",)),
    refused("twin below", GET, ENTITIES, ("TENANT#acme2#RUNS#run_1",)),
    refused("twin of the slice", GET, ENTITIES, ("TENANT#acme#RUNS2",)),
    refused("another slice", GET, ENTITIES, ("TENANT#acme#AGENTS",)),
    refused("another slice below", GET, ENTITIES, ("TENANT#acme#AGENTS#agt_1",)),
    refused("the tenant itself", GET, ENTITIES, ("TENANT#acme",)),
    refused("another table", GET, USAGE, (RUNS,)),
    refused("no tag", GET, ENTITIES, (RUNS,), tag=None),
    refused("no tag and an empty tenant", GET, ENTITIES, ("TENANT##RUNS",), tag=None),
    refused("no tag and no keys", QUERY, ENTITIES, tag=None),
    refused("no keys", QUERY, ENTITIES),
    refused("scan", "dynamodb:Scan", ENTITIES),
    refused("scan of own keys", "dynamodb:Scan", ENTITIES, (RUNS,)),
    refused("another language", "dynamodb:PartiQLSelect", ENTITIES, (RUNS,)),
    refused("work of all tenants", QUERY, f"{ENTITIES}/index/due", ("DUE#RUNS#LEASE",)),
    refused("own key in the due index", QUERY, f"{ENTITIES}/index/due", (RUNS,)),
)

RUNS_API_CASES = (
    *RUNS_CASES,
    allowed("object to read", "s3:GetObject", f"{OBJECTS}/tenants/acme/agents/agt_1/versions/1.json"),
    refused("object to read only", "s3:PutObject", f"{OBJECTS}/tenants/acme/agents/agt_1/versions/1.json"),
    allowed("own object's removal", "s3:DeleteObject", f"{OBJECTS}/tenants/acme/runs/run_1/out.json"),
    allowed("an old version's removal", "s3:DeleteObjectVersion", f"{OBJECTS}/tenants/acme/runs/run_1/out.json"),
    refused("a twin's old version's", "s3:DeleteObjectVersion", f"{OBJECTS}/tenants/acme2/runs/run_1/out.json"),
    refused("removal of an object to read", "s3:DeleteObject", f"{OBJECTS}/tenants/acme/agents/agt_1/versions/1.json"),
    refused("removal of another tenant's object", "s3:DeleteObject", f"{OBJECTS}/tenants/other/runs/run_1/out.json"),
    refused("removal of a twin's object", "s3:DeleteObject", f"{OBJECTS}/tenants/acme2/runs/run_1/out.json"),
    listing("own objects of a run", OBJECTS, "tenants/acme/runs/run_1/", is_allowed=True),
    listing("own objects of another folder", OBJECTS, "tenants/acme/agents/", is_allowed=False),
    listing("another tenant's objects", OBJECTS, "tenants/other/runs/run_1/", is_allowed=False),
    listing("a twin's objects", OBJECTS, "tenants/acme2/runs/", is_allowed=False),
    listing("objects of all tenants", OBJECTS, "tenants/", is_allowed=False),
    listing("all objects", OBJECTS, None, is_allowed=False),
    listing("objects without tag", OBJECTS, "tenants/acme/runs/run_1/", is_allowed=False, tag=None),
    allowed("own object", "s3:GetObject", f"{OBJECTS}/tenants/acme/runs/run_1/out.json"),
    refused("own object's write", "s3:PutObject", f"{OBJECTS}/tenants/acme/runs/run_1/out.json"),
    refused("another tenant's object", "s3:GetObject", f"{OBJECTS}/tenants/other/runs/run_1/out.json"),
    refused("twin's object", "s3:GetObject", f"{OBJECTS}/tenants/acme2/runs/run_1/out.json"),
    refused("another folder", "s3:GetObject", f"{OBJECTS}/tenants/acme/datasets/dst_1.json"),
    refused("object without tag", "s3:GetObject", f"{OBJECTS}/tenants/acme/runs/run_1/out.json", tag=None),
    refused("object of no tenant", "s3:GetObject", f"{OBJECTS}/tenants//runs/run_1/out.json", tag=None),
    refused("own secret", READ_SECRET, f"{SECRETS}/tenants/acme/openai/key-AbCdEf"),
)

RUNS_WORKER_DATA_CASES = (
    *RUNS_CASES,
    allowed("own object", "s3:GetObject", f"{OBJECTS}/tenants/acme/runs/run_1/out.json"),
    allowed("own object's write", "s3:PutObject", f"{OBJECTS}/tenants/acme/runs/run_1/out.json"),
    refused("another tenant's object", "s3:GetObject", f"{OBJECTS}/tenants/other/runs/run_1/out.json"),
    refused("twin's object", "s3:GetObject", f"{OBJECTS}/tenants/acme2/runs/run_1/out.json"),
    refused("another folder", "s3:GetObject", f"{OBJECTS}/tenants/acme/datasets/dst_1.json"),
    refused("object without tag", "s3:GetObject", f"{OBJECTS}/tenants/acme/runs/run_1/out.json", tag=None),
    refused("object of no tenant", "s3:GetObject", f"{OBJECTS}/tenants//runs/run_1/out.json", tag=None),
    refused("own object's removal", "s3:DeleteObject", f"{OBJECTS}/tenants/acme/runs/run_1/out.json"),
    listing("own objects of a run", OBJECTS, "tenants/acme/runs/run_1/", is_allowed=False),
    allowed("own secret", READ_SECRET, f"{SECRETS}/tenants/acme/openai/key-AbCdEf"),
    refused("another tenant's secret", READ_SECRET, f"{SECRETS}/tenants/other/openai/key-AbCdEf"),
    refused("twin's secret", READ_SECRET, f"{SECRETS}/tenants/acme2/openai/key-AbCdEf"),
    refused("secret without tag", READ_SECRET, f"{SECRETS}/tenants/acme/openai/key-AbCdEf", tag=None),
    refused("secret of no tenant", READ_SECRET, f"{SECRETS}/tenants//openai/key-AbCdEf", tag=None),
    refused("the platform's secret as a tenant", READ_SECRET, f"{SECRETS}/openai/key-AbCdEf"),
    refused("secret to write", "secretsmanager:PutSecretValue", f"{SECRETS}/tenants/acme/openai/key-AbCdEf"),
)

AGENTS_CASES = (
    allowed("own secret's change", "secretsmanager:PutSecretValue", f"{SECRETS}/tenants/acme/openai/key-AbCdEf"),
    allowed("own secret's first value", "secretsmanager:CreateSecret", f"{SECRETS}/tenants/acme/openai/key-??????"),
    refused("own secret to read", READ_SECRET, f"{SECRETS}/tenants/acme/openai/key-AbCdEf"),
    refused("twin's secret", "secretsmanager:PutSecretValue", f"{SECRETS}/tenants/acme2/openai/key-AbCdEf"),
    refused("the platform's secret", "secretsmanager:PutSecretValue", f"{SECRETS}/openai/key-AbCdEf"),
)

RUNS_WORKER_CASES = (
    allowed("the platform's key", READ_SECRET, f"{SECRETS}/openai/key-AbCdEf", tag=None),
    refused("another secret of the platform", READ_SECRET, f"{SECRETS}/stripe/secret-AbCdEf", tag=None),
    refused("a tenant's key in its own role", READ_SECRET, f"{SECRETS}/tenants/acme/openai/key-AbCdEf", tag=None),
    allowed("a model of another region", CALL_MODEL, f"{MODELS}/amazon.nova-lite-v1:0", tag=None),
    refused("changing models", "bedrock:CreateModelCustomizationJob", f"{MODELS}/amazon.nova-lite-v1:0", tag=None),
)

TENANTS_CASES = (
    allowed("the tenant itself", GET, TENANTS, ("TENANT#acme",)),
    allowed("own side items", GET, TENANTS, ("TENANT#acme#TENANTS#USERS",)),
    refused("another tenant itself", GET, TENANTS, ("TENANT#acme2",)),
    refused("billing's slice", GET, TENANTS, ("TENANT#acme#BILLING",)),
    refused("below billing's slice", GET, TENANTS, ("TENANT#acme#BILLING#INVOICES",)),
    refused("billing's webhooks", GET, TENANTS, ("STRIPE#evt_1",)),
)

REAPER_CASES = (
    allowed("any tenant's run", GET, ENTITIES, ("TENANT#acme#RUNS#run_1",), tag=None),
    allowed("due runs", QUERY, f"{ENTITIES}/index/due", ("DUE#RUNS#LEASE",), tag=None),
    refused("due agents", QUERY, f"{ENTITIES}/index/due", ("DUE#AGENTS#OUTBOX",), tag=None),
    refused("another slice", GET, ENTITIES, ("TENANT#acme#AGENTS",), tag=None),
    refused("scan", "dynamodb:Scan", ENTITIES, tag=None),
    refused("no keys", QUERY, ENTITIES, tag=None),
)

TENANTS_CONSUMER_CASES = (
    allowed("any tenant", GET, TENANTS, ("TENANT#acme",), tag=None),
    allowed("any tenant's projects", PUT, TENANTS, ("TENANT#acme#TENANTS#PROJECTS",), tag=None),
    refused("billing's slice", GET, TENANTS, ("TENANT#acme#BILLING",), tag=None),
    refused("below billing's slice", PUT, TENANTS, ("TENANT#acme#BILLING#INVOICES",), tag=None),
    refused("billing among own", "dynamodb:BatchGetItem", TENANTS, ("TENANT#a", "TENANT#a#BILLING"), tag=None),
    refused("billing's webhooks", GET, TENANTS, ("STRIPE#evt_1",), tag=None),
    refused("due work", QUERY, f"{TENANTS}/index/due", ("DUE#TENANTS#OUTBOX",), tag=None),
)

WEBHOOK_CASES = (
    allowed("a webhook", PUT, TENANTS, ("STRIPE#evt_1",), tag=None),
    allowed("a customer", GET, TENANTS, ("STRIPE#cus_1",), tag=None),
    refused("a tenant", GET, TENANTS, ("TENANT#acme",), tag=None),
    refused("billing's slice", GET, TENANTS, ("TENANT#acme#BILLING",), tag=None),
    refused("a webhook and a tenant", "dynamodb:BatchGetItem", TENANTS, ("STRIPE#evt_1", "TENANT#acme"), tag=None),
    refused("webhooks of another table", GET, ENTITIES, ("STRIPE#evt_1",), tag=None),
    refused("no keys", QUERY, TENANTS, tag=None),
    refused("scan", "dynamodb:Scan", TENANTS, tag=None),
)

INBOX_CASES = (
    allowed("a webhook", PUT, TENANTS, ("STRIPE#evt_1",), tag=None),
    allowed("any tenant's billing", PUT, TENANTS, ("TENANT#acme#BILLING",), tag=None),
    refused("a tenant", GET, TENANTS, ("TENANT#acme",), tag=None),
    refused("due work", QUERY, f"{TENANTS}/index/due", ("DUE#BILLING#SYNC",), tag=None),
)

PUBLISHER_CASES = (
    allowed("delete an event", "dynamodb:DeleteItem", ENTITIES, ("TENANT#acme#RUNS#OUTBOX",), tag=None),
    allowed("find events", QUERY, f"{TENANTS}/index/due", ("DUE#BILLING#OUTBOX",), tag=None),
    refused("delete a run", "dynamodb:DeleteItem", ENTITIES, ("TENANT#acme#RUNS#run_1",), tag=None),
    refused("delete a tenant", "dynamodb:DeleteItem", TENANTS, ("TENANT#acme",), tag=None),
    refused("write a run", "dynamodb:BatchWriteItem", ENTITIES, ("TENANT#acme#RUNS#run_1",), tag=None),
    refused("read a run", GET, ENTITIES, ("TENANT#acme#RUNS#run_1",), tag=None),
    refused("find other work", QUERY, f"{ENTITIES}/index/due", ("DUE#RUNS#LEASE",), tag=None),
)

REMOVER_CASES = (
    allowed(
        "any tenant's key's end", "secretsmanager:DeleteSecret", f"{SECRETS}/tenants/acme/openai/key-AbCdEf", tag=None
    ),
    refused("any tenant's key to read", READ_SECRET, f"{SECRETS}/tenants/acme/openai/key-AbCdEf", tag=None),
    refused("the platform's key's end", "secretsmanager:DeleteSecret", f"{SECRETS}/openai/key-AbCdEf", tag=None),
    allowed("any tenant's rows", "dynamodb:BatchWriteItem", ENTITIES, ("TENANT#acme#AGENTS",), tag=None),
    allowed("any tenant's object", "s3:DeleteObjectVersion", f"{OBJECTS}/tenants/acme/agents/agt_1/1.json", tag=None),
    refused("another slice", "dynamodb:BatchWriteItem", ENTITIES, ("TENANT#acme#RUNS",), tag=None),
    refused("another folder", "s3:DeleteObjectVersion", f"{OBJECTS}/tenants/acme/runs/run_1/1.json", tag=None),
    refused("an object's content", "s3:GetObject", f"{OBJECTS}/tenants/acme/agents/agt_1/1.json", tag=None),
    refused("all objects' names", "s3:ListBucketVersions", OBJECTS, tag=None),
    refused("due work", QUERY, f"{ENTITIES}/index/due", ("DUE#AGENTS#OUTBOX",), tag=None),
)

ROLES = {
    "agents-remover": REMOVER_CASES,
    "runs-api-data": RUNS_API_CASES,
    "runs-worker-data": RUNS_WORKER_DATA_CASES,
    "runs-worker": RUNS_WORKER_CASES,
    "agents-api-data": AGENTS_CASES,
    "tenants-api-data": TENANTS_CASES,
    "runs-reaper": REAPER_CASES,
    "tenants-consumer": TENANTS_CONSUMER_CASES,
    "billing-webhook": WEBHOOK_CASES,
    "billing-inbox": INBOX_CASES,
    "publisher": PUBLISHER_CASES,
}


class TestRoles:
    @pytest.mark.parametrize("role", ROLES)
    def test_grant_exactly_the_declared_permissions(self, local: Templates, role: str) -> None:
        assert unexpected_decisions(local.statements(f"ainexus-local-{role}"), ROLES[role]) == []


class TestRemover:
    @pytest.mark.parametrize(
        ("prefix", "is_listed"),
        [("tenants/acme/agents/", True), ("tenants/acme/runs/", False), ("tenants/acme/", False), ("", False)],
    )
    def test_lists_only_its_own_folder(self, local: Templates, prefix: str, *, is_listed: bool) -> None:
        request = simulation(
            "s3:ListBucketVersions",
            OBJECTS,
            statements=local.statements("ainexus-local-agents-remover"),
            context={"s3:prefix": prefix},
        )
        assert simulate([request]) == [is_listed]


Change = Callable[[list[Json]], object]
"""A mutation of a role's statements, of which the first is the one on items."""

MUTATIONS: dict[str, Change] = {
    "no guards": lambda statements: statements[0]["Condition"].pop("Null"),
    "no guard of the keys": lambda statements: statements[0]["Condition"]["Null"].pop("dynamodb:LeadingKeys"),
    "no condition": lambda statements: statements[0].pop("Condition"),
    "no keys in the condition": lambda statements: statements[0]["Condition"].pop("ForAllValues:StringLike"),
    "any of the keys instead of all": lambda statements: _rename_operator(statements[0]),
    "no delimiter": lambda statements: _change_keys(statements[0], "#*", "*"),
    "no delimiter after the tenant": lambda statements: _change_keys(statements[0], "}#RUNS", "}*#RUNS"),
    "all slices": lambda statements: _change_keys(statements[0], "#RUNS#*", "#*"),
    "all tenants": lambda statements: _change_keys(statements[0], "${aws:PrincipalTag/tenant_id}", "*"),
    "all actions": lambda statements: statements[0].update(Action=["dynamodb:*"]),
    "all indexes": lambda statements: statements[0]["Resource"].append(f"{ENTITIES}/index/*"),
    "all tables": lambda statements: statements[0].update(Resource=f"{_TABLES}-*"),
    "objects of all tenants": lambda statements: _change_objects(statements, "${aws:PrincipalTag/tenant_id}", "*"),
    "objects of tenants with a similar id": lambda statements: _change_objects(statements, "_id}/", "_id}*/"),
    "objects of all folders": lambda statements: _change_objects(statements, "/runs/*", "/*"),
}
READER_MUTATIONS: dict[str, Change] = {
    "objects to write everywhere": lambda statements: _objects(statements)[0]["Action"].append("s3:PutObject"),
}
SECRET_MUTATIONS: dict[str, Change] = {
    "secrets of all tenants": lambda statements: _change_secrets(statements, "${aws:PrincipalTag/tenant_id}", "*"),
    "secrets of tenants with a similar id": lambda statements: _change_secrets(statements, "_id}/", "_id}*/"),
    "secrets to write": lambda statements: _secrets(statements)["Action"].append("secretsmanager:PutSecretValue"),
}
MUTANTS = [
    *(("runs-api-data", name, change) for name, change in {**MUTATIONS, **READER_MUTATIONS}.items()),
    *(("runs-worker-data", name, change) for name, change in {**MUTATIONS, **SECRET_MUTATIONS}.items()),
]


class TestMutations:
    @pytest.mark.parametrize(
        ("role", "change"),
        [(role, change) for role, _, change in MUTANTS],
        ids=[f"{one[0]}: {one[1]}" for one in MUTANTS],
    )
    def test_are_detected(self, local: Templates, role: str, change: Change) -> None:
        original = local.statements(f"ainexus-local-{role}")
        statements = copy.deepcopy(original)
        change(statements)
        assert statements != original
        assert unexpected_decisions(statements, ROLES[role]) != []

    def test_with_the_permissions_of_another_function_are_detected(self, local: Templates) -> None:
        api, worker = (local.statements(f"ainexus-local-runs-{name}-data") for name in ("api", "worker"))
        assert unexpected_decisions([*api, *worker], RUNS_API_CASES) == ["own object's write", "own secret"]
        assert unexpected_decisions([*api, *worker], RUNS_WORKER_DATA_CASES) == [
            "own object's removal",
            "own objects of a run",
        ]

    def test_without_the_denial_of_billing_are_detected(self, local: Templates) -> None:
        statements = local.statements("ainexus-local-tenants-consumer")
        opened = [one for one in statements if one["Effect"] != "Deny"]
        assert unexpected_decisions(opened, TENANTS_CONSUMER_CASES) == [
            "billing's slice",
            "below billing's slice",
            "billing among own",
        ]


class TestTrust:
    def test_allows_a_function_to_assume_its_role_for_one_tenant(self, local: Templates) -> None:
        assert _can_assume(local, "runs-api", tags={"tenant_id": "acme"})

    def test_refuses_without_a_tag(self, local: Templates) -> None:
        assert not _can_assume(local, "runs-api", tags={})

    def test_refuses_another_tag(self, local: Templates) -> None:
        assert not _can_assume(local, "runs-api", tags={"role": "admin"})
        assert not _can_assume(local, "runs-api", tags={"tenant_id": "acme", "role": "admin"})

    def test_refuses_functions_that_do_not_act_for_tenants(self, local: Templates) -> None:
        assert not _can_assume(local, "runs-reaper", tags={"tenant_id": "acme"})

    def test_refuses_another_function_of_the_same_service(self, local: Templates) -> None:
        assert not _can_assume(local, "runs-worker", tags={"tenant_id": "acme"})

    def test_refuses_other_services(self, local: Templates) -> None:
        assert not _can_assume(local, "agents-api", tags={"tenant_id": "acme"})

    def test_without_its_condition_is_detected(self, local: Templates) -> None:
        trust = _trust(local)
        trust["Statement"][0].pop("Condition")
        assert _can_assume(local, "runs-api", tags={}, trust=trust)


def _can_assume(local: Templates, function: str, *, tags: dict[str, str], trust: Json | None = None) -> bool:
    """Return whether a function can assume the data role of runs' api function with these tags."""
    name = f"ainexus-local-{function}"
    context: Json = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = list(tags)
    requests = [
        simulation(
            action,
            f"arn:aws:iam::{ACCOUNT}:role/ainexus-local-runs-api-data",
            statements=local.statements(name),
            context=context,
            principal=name,
            trust=trust or _trust(local),
        )
        for action in ("sts:AssumeRole", "sts:TagSession")
    ]
    return all(simulate(requests))


def _trust(local: Templates) -> Json:
    """Return the data role's trust policy, with its references to roles of the same stack resolved."""
    trust = copy.deepcopy(local.role("ainexus-local-runs-api-data")["AssumeRolePolicyDocument"])
    roles = {name: one["Properties"]["RoleName"] for name, one in local.named("AWS::IAM::Role", "Runs")}
    for statement in trust["Statement"]:
        name = roles[statement["Principal"]["AWS"]["Fn::GetAtt"][0]]
        statement["Principal"]["AWS"] = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    return trust


def _rename_operator(statement: Json) -> None:
    condition = statement["Condition"]
    condition["ForAnyValue:StringLike"] = condition.pop("ForAllValues:StringLike")


def _change_keys(statement: Json, old: str, new: str) -> None:
    keys = statement["Condition"]["ForAllValues:StringLike"]
    keys["dynamodb:LeadingKeys"] = [pattern.replace(old, new) for pattern in keys["dynamodb:LeadingKeys"]]


def _change_objects(statements: Sequence[Json], old: str, new: str) -> None:
    for statement in _objects(statements):
        statement["Resource"] = [resource.replace(old, new) for resource in statement["Resource"]]


def _change_secrets(statements: Sequence[Json], old: str, new: str) -> None:
    statement = _secrets(statements)
    statement["Resource"] = statement["Resource"].replace(old, new)


def _secrets(statements: Sequence[Json]) -> Json:
    return next(one for one in statements if one["Action"][0].startswith("secretsmanager:"))


def _objects(statements: Sequence[Json]) -> list[Json]:
    return [one for one in statements if one["Action"][0].startswith("s3:")]
