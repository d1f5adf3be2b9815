"""Resources that remain when the stacks of an environment are removed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cli.target import Target
from infra.names import SECRETS
from shared.declaration import Table

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef


def disable_termination_protection(target: Target, stacks: Sequence[str]) -> None:
    """Allow the removal of stacks. The caller has asked for confirmation."""
    for name in stacks:
        target.clients.cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)


def remove_data(target: Target) -> None:
    """Remove the data that belongs to no stack: objects in the bucket, and the secrets of tenants."""
    empty_bucket(target.clients.s3, target.names.bucket)
    for name in _list_tenant_secrets(target):
        target.clients.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def list_retained(target: Target) -> list[str]:
    """Return the resources that an environment with retained data keeps without its stacks."""
    names = target.names
    tables = [f"table {names.table(table)}" for table in Table]
    secrets = [f"secret {names.secret(secret)}" for secret in SECRETS]
    return [*tables, f"bucket {names.bucket}", f"user pool {names.user_pool}", *secrets, "the logs"]


def empty_bucket(s3: "S3Client", bucket: str) -> None:
    """Remove all versions of all objects in a bucket; a missing bucket is empty."""
    try:
        pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket))
    except s3.exceptions.NoSuchBucket:
        return
    for page in pages:
        found: list[ObjectIdentifierTypeDef] = [
            {"Key": one.get("Key", ""), "VersionId": one.get("VersionId", "null")}
            for one in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
        ]
        if found:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})


def _list_tenant_secrets(target: Target) -> Iterator[str]:
    prefix = target.names.secret("tenants/")
    pages = target.clients.secrets.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}])
    names = (one.get("Name", "") for page in pages for one in page["SecretList"])
    return (name for name in names if name.startswith(prefix))
