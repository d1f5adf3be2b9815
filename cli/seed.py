"""The default tenants and users, and those that were created with AWS tools."""

from collections.abc import Iterator
from typing import Any

from cli.admin import invoke_command
from cli.target import Target

PLATFORM_ADMIN = "platform@ainexus.local"
"""The platform admin of every local mesh."""


def seed_mesh(target: Target, *, temporary_password: str, platform_admin: str | None = None) -> dict[str, Any]:
    """Create the default tenants and users that do not exist, and return all of them."""
    arguments = {"temporary_password": temporary_password}
    admin = platform_admin or (PLATFORM_ADMIN if target.is_local else None)
    return invoke_command(target, "seed", **arguments, **({"platform_admin": admin} if admin else {}))


def import_tenants(target: Target) -> dict[str, Any]:
    """Publish the missing events of tenants and users that were created with AWS tools."""
    imported = invoke_command(target, "import_existing", tenant_ids=list(_list_unpublished(target)))
    while imported["next_token"]:
        more = invoke_command(target, "import_existing", tenant_ids=[], token=imported["next_token"])
        imported["users"].extend(more["users"])
        imported["left"].update(more["left"])
        imported["next_token"] = more["next_token"]
    return imported


def lines_of_import(imported: dict[str, Any]) -> list[str]:
    """Return a line for each tenant or user that was imported or left out."""
    lines = [f"tenant {tenant_id:24} imported" for tenant_id in imported["tenants"]]
    lines += [f"user   {email:24} imported" for email in imported["users"]]
    lines += [f"left   {name:24} {reason}" for name, reason in imported["left"].items()]
    return lines or ["There is nothing to import."]


def lines_of(seeded: dict[str, Any]) -> list[str]:
    """Return a line for each default tenant and user."""
    tenants = [f"tenant {entry['tenant_id']:24} {_format_outcome(entry)}" for entry in seeded["tenants"]]
    users = [f"user   {entry['email']:24} {entry['role']}, {_format_outcome(entry)}" for entry in seeded["users"]]
    return tenants + users


def _list_unpublished(target: Target) -> Iterator[str]:
    pages = target.clients.dynamodb.get_paginator("scan").paginate(
        TableName=target.outputs["TenantsTableName"],
        FilterExpression="SK = :config AND attribute_not_exists(seq)",
        ExpressionAttributeValues={":config": {"S": "CONFIG"}},
    )
    return (str(item["PK"].get("S")).removeprefix("TENANT#") for page in pages for item in page["Items"])


def _format_outcome(entry: dict[str, Any]) -> str:
    return "created" if entry["created"] else "exists"
