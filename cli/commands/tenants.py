"""`tenants`."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from cli.admin import invoke_command
from cli.limits import parse_limits
from cli.output import show, table
from cli.target import Target, for_target

_PLANS = ("free", "pro", "enterprise")
_COLUMNS = ("tenant_id", "name", "plan", "status", "overage", "created_at")


@click.group()
def tenants() -> None:
    """Manage tenants."""


@tenants.command("list")
@for_target
def list_(target: Target) -> None:
    """List all tenants."""
    response = invoke_command(target, "list_tenants")
    empty = "There are no tenants. Create the default ones with `ainexus seed`."
    show(target, response, table(response["tenants"], _COLUMNS, empty=empty))


@tenants.command("create")
@click.argument("tenant_id")
@click.option("--name", required=True, help="Name of the organization.")
@click.option("--plan", type=click.Choice(_PLANS), default="free", show_default=True, help="The tenant's plan.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="A limit that replaces the plan's limit.")
@for_target
def create(target: Target, *, tenant_id: str, name: str, plan: str, limits: tuple[str, ...]) -> None:
    """Create a tenant. Its id can never be used again."""
    response = invoke_command(
        target, "create_tenant", tenant_id=tenant_id, name=name, plan=plan, limits=parse_limits(limits)
    )
    _show(target, response)


@tenants.command("update")
@click.argument("tenant_id")
@click.option("--name", help="Name of the organization.")
@click.option("--plan", type=click.Choice(_PLANS), help="The tenant's plan.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    help="A limit as NAME=VALUE. An empty value (NAME=) restores the plan's limit.",
)
@click.option("--overage", type=click.Choice(("block", "allow")), help="Whether runs continue above the limits.")
@for_target
def update(
    target: Target, *, tenant_id: str, name: str | None, plan: str | None, limits: tuple[str, ...], overage: str | None
) -> None:
    """Change a tenant's name, plan, limits or overage."""
    options = {"name": name, "plan": plan, "overage": overage}
    changes = {option: value for option, value in options.items() if value is not None}
    _show(target, invoke_command(target, "update_tenant", tenant_id=tenant_id, limits=parse_limits(limits), **changes))


@tenants.command("suspend")
@click.argument("tenant_id")
@click.option("--reason", required=True, help="The reason that the tenant's users are given.")
@click.option("--abuse", is_flag=True, help="The tenant has misused the platform.")
@for_target
def suspend(target: Target, *, tenant_id: str, reason: str, abuse: bool) -> None:
    """Make a tenant read-only."""
    _show(target, invoke_command(target, "suspend_tenant", tenant_id=tenant_id, reason=reason, abuse=abuse))


@tenants.command("reactivate")
@click.argument("tenant_id")
@for_target
def reactivate(target: Target, *, tenant_id: str) -> None:
    """Lift an operator's suspension."""
    _show(target, invoke_command(target, "reactivate_tenant", tenant_id=tenant_id))


@tenants.command("budget")
@click.argument("tenant_id")
@for_target
def budget(target: Target, *, tenant_id: str) -> None:
    """Show the budget of a tenant's month."""
    response = invoke_command(target, "budget", service="runs", tenant_id=tenant_id)
    show(target, response, lines_of_budget(response["budget"]))


def lines_of_budget(budget: dict[str, Any]) -> list[str]:
    """Return a table with one line for each limit. A missing number is a dash."""
    rows = [
        {"limit of": unit, "uncertain": "-", **{name: _dash(value) for name, value in budget[unit].items()}}
        for unit in ("requests", "tokens")
    ]
    overage = " Runs continue above the limits." if budget["overage"] else ""
    head = f"The limits of {budget['month']} reset at {budget['resets_at']}.{overage}"
    columns = ("limit of", "limit", "used", "reserved", "uncertain", "left")
    return [head, *table(rows, columns, empty="")]


def _dash(value: int | None) -> int | str:
    return "-" if value is None else value


@tenants.command("delete")
@click.argument("tenant_id")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@for_target
def delete(target: Target, *, tenant_id: str, yes: bool) -> None:
    """Permanently delete a tenant and all its data."""
    if not yes:
        click.confirm(f"Permanently delete {tenant_id} and all its data?", abort=True, err=True)
    response = invoke_command(target, "delete_tenant", tenant_id=tenant_id)
    line = f"{tenant_id} is being deleted. Follow it with `ainexus tenants certificate {tenant_id}`."
    show(target, response, [line])


@tenants.command("certificate")
@click.argument("tenant_id")
@for_target
def certificate(target: Target, *, tenant_id: str) -> None:
    """Show the certificate of a tenant's deletion."""
    response = invoke_command(target, "certificate", tenant_id=tenant_id)
    found = response["certificate"]
    rows = [{"service": service, **numbers} for service, numbers in found["removed"].items()]
    state = "deleted" if found["complete"] else "being deleted"
    head = f"{tenant_id} is {state}, requested by {found['requested_by']} at {found['requested_at']}."
    show(target, response, [head, *table(rows, ("service", "items", "objects"), empty="Nothing was removed yet.")])


@tenants.command("export")
@click.argument("tenant_id")
@click.option("--export", "export_id", metavar="ID", help="Continue with this export instead of starting one.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="A folder to download the files to.")
@click.option("--wait", "wait_s", default=600, show_default=True, metavar="SECONDS", help="The longest time to wait.")
@for_target
def export(target: Target, *, tenant_id: str, export_id: str | None, into: Path | None, wait_s: int) -> None:
    """Export all data of a tenant as JSON Lines.

    The files are written to the bucket, and their addresses are printed.
    """
    from cli.export import download, wait_for_export

    if export_id is None:
        export_id = str(invoke_command(target, "export_tenant", tenant_id=tenant_id)["export"]["export_id"])
    fetch = partial(invoke_command, target, "show_export", tenant_id=tenant_id, export_id=export_id)
    response = wait_for_export(fetch, wait_s=wait_s)
    found = response["export"]
    if into and found["status"] == "complete":
        download(found["files"], found["manifest_url"], into=into)
    head = f"{export_id} of {tenant_id} is {found['status']}."
    columns = ("service", "lines", "size_bytes", "url")
    show(target, response, [head, *table(found["files"], columns, empty="There are no files yet.")])


def _show(target: Target, response: dict[str, Any]) -> None:
    show(target, response, table([response["tenant"]], _COLUMNS, empty=""))
