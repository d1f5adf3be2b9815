"""`seed`: the default tenants and users."""

import secrets
from collections.abc import Iterator
from typing import Any

import click

from cli.admin import ask
from cli.output import show
from cli.target import Target, for_target

PLATFORM_ADMIN = "platform@ainexus.local"
"""The platform admin of every local mesh."""


@click.command()
@click.option("--temporary-password", help="For the users that are made; elsewhere than locally it is asked for.")
@click.option("--platform-admin", help="Address of a platform admin to make as well.")
@click.option("--adopt", is_flag=True, help="Instead, announce what was made with AWS tools alone.")
@for_target
def seed(target: Target, *, temporary_password: str | None, platform_admin: str | None, adopt: bool) -> None:
    """Make the default tenants and users.

    Those that are there already stay as they are. With --adopt, tenants and users that were made with AWS tools get
    the events that they have none of yet, so that every service knows them.
    """
    if adopt:
        adopted = ask(target, "adopt", tenant_ids=list(_unannounced(target)))
        show(target, adopted, lines_of_adoption(adopted))
        return
    password = temporary_password or password_for(target)
    seeded = sow(target, temporary_password=password, platform_admin=platform_admin)
    show(target, seeded, lines_of(seeded))


def _unannounced(target: Target) -> Iterator[str]:
    """The ids of tenants that were made with AWS tools, as an operator finds them."""
    pages = target.clients.dynamodb.get_paginator("scan").paginate(
        TableName=target.outputs["TenantsTableName"],
        FilterExpression="SK = :config AND attribute_not_exists(seq)",
        ExpressionAttributeValues={":config": {"S": "CONFIG"}},
    )
    return (str(item["PK"].get("S")).removeprefix("TENANT#") for page in pages for item in page["Items"])


def lines_of_adoption(adopted: dict[str, Any]) -> list[str]:
    """What was announced, and what could not be."""
    lines = [f"tenant {tenant_id:24} announced" for tenant_id in adopted["tenants"]]
    lines += [f"user   {email:24} announced" for email in adopted["users"]]
    lines += [f"left   {name:24} {why}" for name, why in adopted["left"].items()]
    return lines or ["Everything is known already."]


def sow(target: Target, *, temporary_password: str, platform_admin: str | None = None) -> dict[str, Any]:
    """Have the tenants service make what is missing."""
    given = {"temporary_password": temporary_password}
    admin = platform_admin or (PLATFORM_ADMIN if target.is_local else None)
    return ask(target, "seed", **given, **({"platform_admin": admin} if admin else {}))


def password_for(target: Target) -> str:
    """A password that nobody needs to know locally, since tokens need none there; elsewhere one is asked for."""
    if target.is_local:
        return new_password()
    return str(click.prompt("Temporary password for new users", hide_input=True, confirmation_prompt=True, err=True))


def new_password() -> str:
    """A random password with a letter of each kind."""
    return f"{secrets.token_urlsafe(18)}Aa1!"


def lines_of(seeded: dict[str, Any]) -> list[str]:
    """What a seed found and made."""
    tenants = [f"tenant {entry['tenant_id']:24} {_how(entry)}" for entry in seeded["tenants"]]
    users = [f"user   {entry['email']:24} {entry['role']}, {_how(entry)}" for entry in seeded["users"]]
    return tenants + users


def _how(entry: dict[str, Any]) -> str:
    return "made" if entry["created"] else "was there"
