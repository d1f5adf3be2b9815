"""IAM statements as data. Every permission in the mesh is defined here.

`ForAllValues` is true when the key is absent, so each such condition has a `Null` guard beside it. Patterns end in an
exact key or in `#*`: `TENANT#acme*` would also open `TENANT#acme2`.
"""

from collections.abc import Sequence
from typing import Any

from infra.names import Names
from shared.declaration import Function, ObjectGrant, Service, Slice, Table, TenantSecrets

Statement = dict[str, Any]

TENANT_TAG = "aws:PrincipalTag/tenant_id"
LEADING_KEYS = "dynamodb:LeadingKeys"

_TENANT = f"${{{TENANT_TAG}}}"
_ITEMS = (
    *("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem"),
    *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"),
)
_QUEUE = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
_TENANT_SECRETS = {
    TenantSecrets.READ: ("secretsmanager:GetSecretValue",),
    TenantSecrets.DESTROY: ("secretsmanager:DeleteSecret",),
    TenantSecrets.WRITE: (
        *("secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:PutSecretValue"),
        "secretsmanager:RestoreSecret",
    ),
}
_USERS = (
    *("AdminCreateUser", "AdminGetUser", "ListUsers", "AdminUpdateUserAttributes"),
    *("AdminDisableUser", "AdminUserGlobalSignOut", "AdminDeleteUser"),
)


def allow(actions: Sequence[str], resources: str | Sequence[str], **condition: Any) -> Statement:  # noqa: ANN401 — conditions are JSON
    """Return a statement that allows actions."""
    found: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": resources}
    return {**found, "Condition": condition} if condition else found


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    """Return a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def data_of_tenant(names: Names, owned: Slice) -> Statement:
    """Allow access to the slice of the session's tenant."""
    return _items(names, owned, _patterns(owned, _TENANT), guards=(LEADING_KEYS, TENANT_TAG))


def data_of_all_tenants(names: Names, owned: Slice, others: Sequence[Slice]) -> list[Statement]:
    """Allow access to the slice of every tenant.

    Args:
        names: of the environment.
        owned: the slice; one that holds the tenant's own key opens all below it,
        others: except for the other slices of the same table.
    """
    if not owned.holds_tenant:
        return [_items(names, owned, _patterns(owned, "*"), guards=(LEADING_KEYS,))]
    opened = _items(names, owned, ["TENANT#*"], guards=(LEADING_KEYS,))
    closed = [pattern for other in others if other.table == owned.table for pattern in _patterns(other, "*")]
    return [opened, _deny(opened["Resource"], closed)] if closed else [opened]


def items_by_key_pattern(names: Names, owned: Slice, patterns: Sequence[str]) -> Statement:
    """Allow access to keys of the slice's table that belong to no tenant."""
    return allow(_ITEMS, names.table_arn(owned.table), **_leading(list(patterns), guards=(LEADING_KEYS,)))


def due_work(names: Names, owned: Slice) -> Statement:
    """Allow queries of the slice's entries in the `due` index."""
    return _query_due(names, owned.table, [f"DUE#{owned.name}#*"])


def outbox(names: Names, table: Table, slices: Sequence[Slice]) -> list[Statement]:
    """Allow finding, reading and deleting the events in the outboxes of a table, and nothing else in it.

    IAM has no grant for the deletions of a batch alone.
    """
    found = [owned for owned in slices if owned.table == table]
    if not found:
        return []
    actions = ("dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem")
    keys = _leading([owned.key("*", "OUTBOX") for owned in found], guards=(LEADING_KEYS,))
    due = _query_due(names, table, [owned.due_key("OUTBOX") for owned in found])
    return [allow(actions, names.table_arn(table), **keys), due]


def api_keys(names: Names, owned: Slice, others: Sequence[Slice]) -> list[Statement]:
    """Allow finding API keys by their secrets, reading them and their tenants, and recording their last use.

    Args:
        names: of the environment.
        owned: the slice that holds them.
        others: the other slices, of which those of the same table stay closed.
    """
    actions = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem")
    opened = allow(actions, names.table_arn(owned.table), **_leading(["TENANT#*"], guards=(LEADING_KEYS,)))
    closed = [pattern for other in others if other.table == owned.table for pattern in _patterns(other, "*")]
    return [opened, _deny(opened["Resource"], closed), _query_due(names, owned.table, [owned.due_key("APISECRET#*")])]


def stream(names: Names, table: Table) -> Statement:
    """Allow reading the stream of a table."""
    return allow(_STREAM, f"{names.table_arn(table)}/stream/*")


def list_streams() -> Statement:
    """Allow listing streams. DynamoDB requires it for all of them."""
    return allow(["dynamodb:ListStreams"], "*")


def objects_of_tenant(names: Names, granted: Sequence[ObjectGrant]) -> list[Statement]:
    """Allow access to the folders of the session's tenant."""
    return _objects(names, granted, tenant=_TENANT, Null={TENANT_TAG: "false"})


def objects_of_all_tenants(names: Names, granted: Sequence[ObjectGrant]) -> list[Statement]:
    """Allow access to the folders of every tenant."""
    return _objects(names, granted, tenant="*")


def assume(names: Names, service: Service, function: Function) -> Statement:
    """Allow a function to assume its data role for one tenant."""
    return allow(["sts:AssumeRole", "sts:TagSession"], names.role_arn(names.data_role(service, function)))


def logs(names: Names, function: str) -> Statement:
    """Allow writing a function's own log."""
    group = names.arn("logs", f"log-group:{names.logs(function)}:*")
    return allow(["logs:CreateLogStream", "logs:PutLogEvents"], group)


def traces() -> Statement:
    """Allow sending trace segments. X-Ray has no resources."""
    return allow(["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*")


def queue(names: Names, name: str) -> Statement:
    """Allow consuming a queue."""
    return allow(_QUEUE, names.arn("sqs", name))


def send(names: Names, name: str) -> Statement:
    """Allow sending to a queue."""
    return allow(["sqs:SendMessage"], names.arn("sqs", name))


def put_events(names: Names) -> Statement:
    """Allow putting events on the bus."""
    return allow(["events:PutEvents"], names.arn("events", f"event-bus/{names.bus}"))


def invoke(names: Names, service: Service, function: Function) -> Statement:
    """Allow invoking other functions of the same service."""
    return allow(
        ["lambda:InvokeFunction"],
        [names.arn("lambda", f"function:{names.function(service, name)}") for name in function.invokes],
    )


def read_secrets(names: Names, secrets: Sequence[str]) -> Statement:
    """Allow reading secrets. Secrets Manager appends six characters to their names."""
    found = [names.arn("secretsmanager", f"secret:{names.secret(secret)}-??????") for secret in secrets]
    return allow(["secretsmanager:GetSecretValue"], found)


def secrets_of_tenant(names: Names, granted: TenantSecrets) -> Statement:
    """Allow access to the secrets of the session's tenant."""
    return allow(_TENANT_SECRETS[granted], _secrets_below(names, _TENANT), Null={TENANT_TAG: "false"})


def secrets_of_all_tenants(names: Names) -> Statement:
    """Allow deleting the secrets of any tenant."""
    return allow(_TENANT_SECRETS[TenantSecrets.DESTROY], _secrets_below(names, "*"))


def _secrets_below(names: Names, tenant: str) -> str:
    return names.arn("secretsmanager", f"secret:{names.secret(f'tenants/{tenant}/*')}")


def call_models(names: Names) -> Statement:
    """Allow streaming calls of Bedrock's models, in every region of an inference profile."""
    models = "arn:aws:bedrock:*::foundation-model/*"
    profiles = names.arn("bedrock", "inference-profile/*")
    return allow(["bedrock:InvokeModelWithResponseStream"], [models, profiles])


def users(pool_arn: str) -> Statement:
    """Allow creating, finding, changing and deleting users."""
    return allow([f"cognito-idp:{action}" for action in _USERS], pool_arn)


def trust_of_lambda() -> dict[str, Any]:
    """Return the trust policy of a function's role, which lets Lambda assume it."""
    return document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}])


def trust_of_function(role_arn: str) -> dict[str, Any]:
    """Return the trust policy of a data role: only its function may assume it, and only with the tag `tenant_id`."""
    condition = {
        "StringLike": {"aws:RequestTag/tenant_id": "?*"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["tenant_id"]},
        "Null": {"aws:TagKeys": "false"},
    }
    actions = ["sts:AssumeRole", "sts:TagSession"]
    return document([{"Effect": "Allow", "Action": actions, "Principal": {"AWS": role_arn}, "Condition": condition}])


def _patterns(owned: Slice, tenant: str) -> list[str]:
    bare = [owned.tenant_key(tenant)] if owned.holds_tenant else []
    return [*bare, owned.key(tenant), owned.key(tenant, "*")]


def _items(names: Names, owned: Slice, patterns: list[str], *, guards: Sequence[str]) -> Statement:
    return allow(_ITEMS, names.slice_table_arns(owned), **_leading(patterns, guards=guards))


def _query_due(names: Names, table: Table, patterns: list[str]) -> Statement:
    return allow(["dynamodb:Query"], names.due_arn(table), **_leading(patterns, guards=(LEADING_KEYS,)))


def _leading(patterns: list[str], *, guards: Sequence[str]) -> dict[str, Any]:
    return {
        "ForAllValues:StringLike": {LEADING_KEYS: patterns},
        "Null": dict.fromkeys(guards, "false"),
    }


def _deny(resources: list[str], patterns: list[str]) -> Statement:
    condition = {"ForAnyValue:StringLike": {LEADING_KEYS: patterns}}
    return {"Effect": "Deny", "Action": list(_ITEMS), "Resource": resources, "Condition": condition}


def _objects(names: Names, granted: Sequence[ObjectGrant], *, tenant: str, **condition: Any) -> list[Statement]:  # noqa: ANN401 — conditions are JSON
    deleted = [one for one in granted if one.delete]
    actions = {
        ("s3:GetObject",): [one for one in granted if one.read],
        ("s3:PutObject",): [one for one in granted if one.write],
        ("s3:DeleteObject", "s3:DeleteObjectVersion"): deleted,
    }
    prefix = f"arn:aws:s3:::{names.bucket}/tenants/{tenant}"
    found = [
        allow(some, sorted({f"{prefix}/{one.folder}/*" for one in folders}), **condition)
        for some, folders in actions.items()
        if folders
    ]
    sought = [one for one in granted if one.find]
    found += _list_objects(names, sought, tenant=tenant, action="s3:ListBucket")
    return [*found, *_list_objects(names, deleted, tenant=tenant, action="s3:ListBucketVersions")]


def _list_objects(names: Names, granted: Sequence[ObjectGrant], *, tenant: str, action: str) -> list[Statement]:
    """Allow listing objects. The line is drawn by the prefix, because the permission is on the bucket."""
    if not granted:
        return []
    prefixes = sorted({f"tenants/{tenant}/{one.folder}/*" for one in granted})
    bucket = f"arn:aws:s3:::{names.bucket}"
    guards = {"s3:prefix": "false", **({TENANT_TAG: "false"} if tenant == _TENANT else {})}
    return [allow([action], bucket, StringLike={"s3:prefix": prefixes}, Null=guards)]
