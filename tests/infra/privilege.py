"""The project's rules of least privilege, applied to policy statements."""

from collections.abc import Iterator
from typing import Any, cast

from tests.infra.templates import Json

_ON_KEYS = {
    f"dynamodb:{name}"
    for name in (
        *("BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "DeleteItem", "GetItem"),
        *("PutItem", "Query", "UpdateItem"),
    )
}
_ON_STREAMS = {f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")}
_WITHOUT_RESOURCES = {"dynamodb:ListStreams", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
_LISTING = {"s3:ListBucket", "s3:ListBucketVersions"}
_TAG = "${aws:PrincipalTag/tenant_id}"


def problems(statement: Json) -> list[str]:
    """Return the rules that this statement breaks."""
    if statement["Effect"] == "Deny":
        return []
    return [*_of_actions(statement), *_of_resources(statement), *_of_keys(statement)]


def _of_actions(statement: Json) -> Iterator[str]:
    for action in statement["Action"]:
        if "*" in action:
            yield f"{action} is a pattern"
        if action.startswith("dynamodb:") and action not in _ON_KEYS | _ON_STREAMS:
            yield f"{action} is not for functions"


def _of_resources(statement: Json) -> Iterator[str]:
    for resource in _listed(statement["Resource"]):
        if resource == "*" and not set(statement["Action"]) <= _WITHOUT_RESOURCES:
            yield f"{statement['Action']} on everything"
        if isinstance(resource, str) and resource.startswith("arn:aws:s3:::"):
            yield from _of_bucket(resource, statement)


def _of_bucket(resource: str, statement: Json) -> Iterator[str]:
    condition = statement.get("Condition", {})
    if not set(statement["Action"]) & _LISTING:
        yield from _of_objects(resource, condition)
        return
    prefixes = _listed(condition.get("StringLike", {}).get("s3:prefix", []))
    if not prefixes or condition.get("Null", {}).get("s3:prefix") != "false":
        yield f"{resource} is listed without a prefix"
    # Listing is an action on the bucket, and a condition restricts it to a prefix.
    for prefix in prefixes:
        yield from _of_objects(f"{resource}/{prefix}", condition)


def _of_objects(resource: str, condition: Json) -> Iterator[str]:
    folder, tenant, *rest = resource.replace(_TAG, "t").partition("/")[2].split("/")
    if folder != "tenants" or tenant not in {"t", "*"} or len(rest) != 2 or rest[1] != "*":
        yield f"{resource} is not a folder of tenants"
    if _TAG in resource and condition.get("Null", {}).get("aws:PrincipalTag/tenant_id") != "false":
        yield f"{resource} has no guard for a missing tag"


def _of_keys(statement: Json) -> Iterator[str]:
    if not _ON_KEYS & set(statement["Action"]):
        return
    condition = statement.get("Condition", {})
    patterns = condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
    guards = condition.get("Null", {})
    if not patterns:
        yield "items without leading keys"
    if guards.get("dynamodb:LeadingKeys") != "false":
        yield "no guard for missing keys"
    if any(_TAG in pattern for pattern in patterns) and guards.get("aws:PrincipalTag/tenant_id") != "false":
        yield "no guard for a missing tag"
    yield from (f"{pattern} matches other partitions" for pattern in patterns if _is_loose(pattern))


def _is_loose(pattern: str) -> bool:
    """Return whether a wildcard matches other than whole parts between `#`: `TENANT#acme*` matches `TENANT#acme2`."""
    parts = pattern.replace(_TAG, "t").split("#")
    return len(parts) < 2 or any(part != "*" and {"*", "?"} & {*part} for part in parts)


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 — a text, a reference, or a list of them
    return cast("list[Any]", value) if isinstance(value, list) else [value]
