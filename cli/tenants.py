"""`tenants`: the organisations."""

from typing import Any

import click

from cli.admin import ask
from cli.answer import show, table
from cli.errors import Refused
from cli.target import Target, for_target

_PLANS = ("free", "pro", "enterprise")
_COLUMNS = ("tenant_id", "name", "plan", "status", "overage", "created_at")


@click.group()
def tenants() -> None:
    """The organisations."""


@tenants.command("list")
@for_target
def list_(target: Target) -> None:
    """All tenants."""
    answer = ask(target, "list_tenants")
    show(target, answer, table(answer["tenants"], _COLUMNS, empty="There are no tenants. `ainexus seed` makes some."))


@tenants.command("create")
@click.argument("tenant_id")
@click.option("--name", required=True, help="Of the organisation.")
@click.option("--plan", type=click.Choice(_PLANS), default="free", show_default=True)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="A limit of its own; again for more.")
@for_target
def create(target: Target, *, tenant_id: str, name: str, plan: str, limits: tuple[str, ...]) -> None:
    """Make a tenant; its id is never given again."""
    answer = ask(target, "create_tenant", tenant_id=tenant_id, name=name, plan=plan, limits=limits_of(limits))
    _show(target, answer)


@tenants.command("update")
@click.argument("tenant_id")
@click.option("--name", help="Of the organisation.")
@click.option("--plan", type=click.Choice(_PLANS))
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="An own limit; without a value it goes.")
@click.option("--overage", type=click.Choice(("block", "allow")), help="Whether runs go on above the limits.")
@for_target
def update(
    target: Target, *, tenant_id: str, name: str | None, plan: str | None, limits: tuple[str, ...], overage: str | None
) -> None:
    """Change a tenant's name, plan, own limits or overage."""
    given = {"name": name, "plan": plan, "overage": overage}
    sent = {option: value for option, value in given.items() if value is not None}
    _show(target, ask(target, "update_tenant", tenant_id=tenant_id, limits=limits_of(limits), **sent))


@tenants.command("suspend")
@click.argument("tenant_id")
@click.option("--reason", required=True, help="What its people are told.")
@click.option("--abuse", is_flag=True, help="The tenant has misused the platform.")
@for_target
def suspend(target: Target, *, tenant_id: str, reason: str, abuse: bool) -> None:
    """Let nothing be changed in a tenant; reading goes on."""
    _show(target, ask(target, "suspend_tenant", tenant_id=tenant_id, reason=reason, abuse=abuse))


@tenants.command("reactivate")
@click.argument("tenant_id")
@for_target
def reactivate(target: Target, *, tenant_id: str) -> None:
    """Lift an operator's suspension."""
    _show(target, ask(target, "reactivate_tenant", tenant_id=tenant_id))


@tenants.command("delete")
@click.argument("tenant_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@for_target
def delete(target: Target, *, tenant_id: str, yes: bool) -> None:
    """Remove a tenant and all that it has, for ever."""
    if not yes:
        click.confirm(f"Remove {tenant_id} and all that it has, for ever?", abort=True, err=True)
    answer = ask(target, "delete_tenant", tenant_id=tenant_id)
    show(target, answer, [f"{tenant_id} is going. `ainexus tenants certificate {tenant_id}` says when it is gone."])


@tenants.command("certificate")
@click.argument("tenant_id")
@for_target
def certificate(target: Target, *, tenant_id: str) -> None:
    """What was removed of a deleted tenant."""
    answer = ask(target, "certificate", tenant_id=tenant_id)
    found = answer["certificate"]
    rows = [{"service": service, **numbers} for service, numbers in found["removed"].items()]
    state = "gone" if found["complete"] else "going"
    head = f"{tenant_id} is {state}; asked for by {found['requested_by']} at {found['requested_at']}."
    show(target, answer, [head, *table(rows, ("service", "items", "objects"), empty="Nothing was removed yet.")])


def limits_of(given: tuple[str, ...]) -> dict[str, Any]:
    """The limits in `NAME=VALUE`: a number, features with commas between them, or nothing to take a limit away.

    Raises:
        Refused: one is none of these.
    """
    return dict(_limit_of(text) for text in given)


def _limit_of(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        msg = f"{text} is no limit; write NAME=VALUE, for example max_users=25."
        raise Refused(msg)
    if not value:
        return name, None
    if name == "enabled_features":
        return name, value.split(",")
    try:
        return name, int(value)
    except ValueError as error:
        msg = f"{value} is no number, as {name} needs one."
        raise Refused(msg) from error


def _show(target: Target, answer: dict[str, Any]) -> None:
    show(target, answer, table([answer["tenant"]], _COLUMNS, empty=""))
