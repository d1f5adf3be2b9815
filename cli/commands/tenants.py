"""`tenants`: the organisations."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import click

from cli.admin import ask
from cli.errors import Refused
from cli.output import show, table
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


@tenants.command("export")
@click.argument("tenant_id")
@click.option("--export", "export_id", metavar="ID", help="Look at this one again, instead of asking for a new one.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="A folder to download the files to.")
@click.option("--wait", "wait_s", default=600, show_default=True, metavar="SECONDS", help="How long to wait for it.")
@for_target
def export(target: Target, *, tenant_id: str, export_id: str | None, into: Path | None, wait_s: int) -> None:
    """Write everything of a tenant as JSON lines to the bucket.

    It says where the files are.
    """
    if export_id is None:
        export_id = str(ask(target, "export_tenant", tenant_id=tenant_id)["export"]["export_id"])
    answer = wait_for_export(
        partial(ask, target, "show_export", tenant_id=tenant_id, export_id=export_id), wait_s=wait_s
    )
    found = answer["export"]
    if into and found["status"] == "complete":
        download(found["files"], found["manifest_url"], into=into)
    head = f"{export_id} of {tenant_id} is {found['status']}."
    show(
        target, answer, [head, *table(found["files"], ("service", "lines", "size_bytes", "url"), empty="No file yet.")]
    )


def wait_for_export(look: Callable[[], dict[str, Any]], *, wait_s: int) -> dict[str, Any]:
    """Look once a second until it is complete, or time is over; the last look is the answer."""
    for _ in range(wait_s):
        answer = look()
        if answer["export"]["status"] == "complete":
            return answer
        time.sleep(1)
    return look()


def download(files: Sequence[Mapping[str, Any]], manifest_url: str, *, into: Path) -> None:
    """Write the files of an export, a folder for each service, and the manifest beside them."""
    for url, folder in ((manifest_url, into), *((file["url"], into / file["service"]) for file in files)):
        folder.mkdir(parents=True, exist_ok=True)
        name = Path(unquote(urlsplit(url).path)).name
        # S310: the address was signed by our own service.
        with urlopen(url, timeout=60) as answer, (folder / name).open("wb") as file:  # noqa: S310
            shutil.copyfileobj(answer, file)


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
