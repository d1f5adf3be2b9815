"""`billing`: the price list at Stripe, and usage on its way there."""

from collections.abc import Iterable
from typing import Any

import click

from cli.admin import ask
from cli.errors import Refused
from cli.output import show, table
from cli.target import Target, for_target

_SIGNS = {"same": "=", "add": "+", "replace": "~", "refuse": "!"}


@click.group()
def billing() -> None:
    """The price list at Stripe, and usage on its way there."""


@billing.command("setup")
@click.option("--diff", "only_look", is_flag=True, help="Only say what would be done.")
@for_target
def setup(target: Target, *, only_look: bool) -> int:
    """Make the price list at Stripe what the plans say.

    Done again, it does nothing. A price that subscriptions have is never changed.
    """
    said = ask(target, "setup", service="billing", only_look=only_look)
    show(target, said, lines_of(said["steps"]))
    return 1 if any(step["difference"] == "refuse" for step in said["steps"]) else 0


@billing.command("flush")
@click.option("--tenant", "tenant_id", help="Everything of this tenant; without it, what is due of any.")
@click.option("--running", is_flag=True, help="Close also the hour that runs; what comes later is a correction.")
@for_target
def flush(target: Target, *, tenant_id: str | None, running: bool) -> int:
    """Close past hours, and send their usage now."""
    said = flushed(target, tenant_id, running=running)
    show(target, said, [f"{name.replace('_', ' ')}: {value}" for name, value in said.items()])
    return 0 if said.get("all_sent", True) else 1


def flushed(target: Target, tenant_id: str | None, *, running: bool) -> dict[str, Any]:
    """Have hours closed and usage sent.

    Raises:
        Refused: the hour that runs is to be closed, and of nobody.
    """
    if running and tenant_id is None:
        msg = "Say of which tenant the hour that runs is to be closed: --tenant."
        raise Refused(msg)
    closed = ask(target, "close", service="metering", tenant_id=tenant_id, running=running) if tenant_id else {}
    return closed | ask(target, "flush", service="billing", tenant_id=tenant_id)


def lines_of(steps: Iterable[dict[str, Any]]) -> list[str]:
    """The differences, one on a line."""
    rows = [{**step, "": _SIGNS[step["difference"]]} for step in steps]
    return table(rows, ("", "kind", "name", "difference", "detail"), empty="There is nothing to set up.")
