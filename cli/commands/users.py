"""`users`: the people of a tenant, and the platform admins."""

from typing import Any

import click

from cli.admin import ask
from cli.output import show, table
from cli.seed import password_for
from cli.target import Target, for_target

_ROLES = ("tenant_admin", "developer", "analyst", "observer")
_PLATFORM_ADMIN = "platform_admin"


@click.group()
def users() -> None:
    """The people of a tenant."""


@users.command("list")
@click.option("--tenant", required=True, help="Id of the tenant.")
@for_target
def list_(target: Target, *, tenant: str) -> None:
    """All users of a tenant."""
    answer = ask(target, "list_users", tenant_id=tenant)
    columns = ("email", "role", "status", "user_id", "created_at")
    show(target, answer, table(answer["users"], columns, empty="There are no users."))


@users.command("create")
@click.argument("email")
@click.option("--tenant", help="Id of the tenant; a platform admin belongs to none.")
@click.option("--role", type=click.Choice((*_ROLES, _PLATFORM_ADMIN)), required=True)
@click.option("--feature", "features", multiple=True, help="What the tokens grant; without it, all of the plan's.")
@for_target
def create(target: Target, *, email: str, tenant: str | None, role: str, features: tuple[str, ...]) -> None:
    """Let someone sign in."""
    given: dict[str, Any] = {"email": email, "role": role, "temporary_password": password_for(target)}
    if tenant:
        given["tenant_id"] = tenant
    if features:
        given["features"] = list(features)
    answer = ask(target, "create_user", **given)
    made = "was made" if answer["user"]["created"] else "was there already"
    show(target, answer, [f"{email} ({role}) {made}."])


@users.command("set-role")
@click.argument("email")
@click.argument("role", type=click.Choice(_ROLES))
@for_target
def set_role(target: Target, *, email: str, role: str) -> None:
    """Give a user another role."""
    answer = ask(target, "set_role", email=email, role=role)
    show(target, answer, [f"{email} is {role}; tokens say so after their next renewal, within 15 minutes."])


@users.command("disable")
@click.argument("email")
@for_target
def disable(target: Target, *, email: str) -> None:
    """Let a user not sign in any more."""
    answer = ask(target, "disable_user", email=email)
    show(target, answer, [f"{email} cannot sign in or renew a token; one that is out ends within 15 minutes."])
