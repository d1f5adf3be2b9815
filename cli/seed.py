"""`seed`: the default tenants and users."""

import secrets
from typing import Any

import click

from cli.admin import ask
from cli.answer import show
from cli.target import Target, for_target

PLATFORM_ADMIN = "platform@ainexus.local"
"""The platform admin of every local mesh."""


@click.command()
@click.option("--temporary-password", help="For the users that are made; elsewhere than locally it is asked for.")
@click.option("--platform-admin", help="Address of a platform admin to make as well.")
@for_target
def seed(target: Target, *, temporary_password: str | None, platform_admin: str | None) -> None:
    """Make the default tenants and users.

    Those that are there already stay as they are.
    """
    password = temporary_password or password_for(target)
    seeded = sow(target, temporary_password=password, platform_admin=platform_admin)
    show(target, seeded, lines_of(seeded))


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
