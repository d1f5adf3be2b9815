"""What an environment leaves behind when its stacks go, and what of it is removed with them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cli.target import Target
from infra.names import SECRETS
from shared.declaration import Table

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef


def unprotect(target: Target, stacks: Sequence[str]) -> None:
    """Let stacks be removed; whoever calls this has asked."""
    for name in stacks:
        target.clients.cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)


def remove_data(target: Target) -> None:
    """Remove what the functions have made and no stack knows: objects in the bucket, and the secrets of tenants."""
    empty(target.clients.s3, target.names.bucket)
    for name in _secrets_of_tenants(target):
        target.clients.secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def kept(target: Target) -> list[str]:
    """What stays when the stacks of an environment go that keeps its data."""
    names = target.names
    tables = [f"table {names.table(table)}" for table in Table]
    secrets = [f"secret {names.secret(secret)}" for secret in SECRETS]
    return [*tables, f"bucket {names.bucket}", f"user pool {names.user_pool}", *secrets, "the logs"]


def empty(s3: "S3Client", bucket: str) -> None:
    """Remove all objects of a bucket, with all their versions; one that is not there is empty."""
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


def _secrets_of_tenants(target: Target) -> Iterator[str]:
    prefix = target.names.secret("tenants/")
    pages = target.clients.secrets.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [prefix]}])
    names = (one.get("Name", "") for page in pages for one in page["SecretList"])
    return (name for name in names if name.startswith(prefix))
