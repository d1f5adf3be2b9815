"""`users`: the people of a tenant."""

import click

from cli.admin import ask
from cli.answer import show, table
from cli.target import Target, for_target


@click.group()
def users() -> None:
    """The people of a tenant."""


@users.command("list")
@click.option("--tenant", required=True, help="Id of the tenant.")
@for_target
def list_(target: Target, *, tenant: str) -> None:
    """All users of a tenant."""
    answer = ask(target, "list_users", tenant_id=tenant)
    show(
        target, answer, table(answer["users"], ("email", "role", "user_id", "created_at"), empty="There are no users.")
    )
