"""`users`."""

from typing import Any

import click

from cli.admin import invoke_command
from cli.output import show, table
from cli.password import password_for
from cli.target import Target, for_target

_ROLES = ("tenant_admin", "developer", "analyst", "observer")
_PLATFORM_ADMIN = "platform_admin"


@click.group()
def users() -> None:
    """Manage the users of a tenant."""


@users.command("list")
@click.option("--tenant", required=True, help="Id of the tenant.")
@for_target
def list_(target: Target, *, tenant: str) -> None:
    """List the users of a tenant."""
    response = invoke_command(target, "list_users", tenant_id=tenant)
    columns = ("email", "role", "status", "user_id", "created_at")
    show(target, response, table(response["users"], columns, empty="There are no users."))


@users.command("create")
@click.argument("email")
@click.option("--tenant", help="Id of the tenant. A platform admin has none.")
@click.option("--role", type=click.Choice((*_ROLES, _PLATFORM_ADMIN)), required=True, help="The user's role.")
@click.option("--feature", "features", multiple=True, help="A feature in the user's tokens. The default is the plan's.")
@for_target
def create(target: Target, *, email: str, tenant: str | None, role: str, features: tuple[str, ...]) -> None:
    """Create a user."""
    arguments: dict[str, Any] = {"email": email, "role": role, "temporary_password": password_for(target)}
    if tenant:
        arguments["tenant_id"] = tenant
    if features:
        arguments["features"] = list(features)
    response = invoke_command(target, "create_user", **arguments)
    outcome = "was created" if response["user"]["created"] else "exists already"
    show(target, response, [f"{email} ({role}) {outcome}."])


@users.command("set-role")
@click.argument("email")
@click.argument("role", type=click.Choice(_ROLES))
@for_target
def set_role(target: Target, *, email: str, role: str) -> None:
    """Change the role of a user."""
    response = invoke_command(target, "set_role", email=email, role=role)
    show(target, response, [f"{email} is {role}. Tokens carry the new role within 15 minutes."])


@users.command("set-email")
@click.argument("email")
@click.argument("new_email")
@for_target
def set_email(target: Target, *, email: str, new_email: str) -> None:
    """Change the address of a user."""
    response = invoke_command(target, "set_email", email=email, new_email=new_email)
    show(target, response, [f"{email} becomes {new_email}. The new address works within seconds."])


@users.command("disable")
@click.argument("email")
@for_target
def disable(target: Target, *, email: str) -> None:
    """Disable a user's sign-in."""
    response = invoke_command(target, "disable_user", email=email)
    show(target, response, [f"{email} cannot sign in or renew a token. Existing tokens expire within 15 minutes."])
