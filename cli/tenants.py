"""`tenants`: the organisations."""

import click

from cli.admin import ask
from cli.answer import show, table
from cli.target import Target, for_target


@click.group()
def tenants() -> None:
    """The organisations."""


@tenants.command("list")
@for_target
def list_(target: Target) -> None:
    """All tenants."""
    answer = ask(target, "list_tenants")
    columns = ("tenant_id", "name", "plan", "status", "created_at")
    show(target, answer, table(answer["tenants"], columns, empty="There are no tenants. `ainexus seed` makes some."))
