"""`billing`."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import click

from cli.admin import invoke_command
from cli.errors import CommandRefused
from cli.output import show, table
from cli.target import Target, for_target

_SIGNS = {"same": "=", "add": "+", "replace": "~", "refuse": "!"}


@click.group()
def billing() -> None:
    """Manage the price list at Stripe, and send usage."""


@billing.command("setup")
@click.option("--diff", "only_look", is_flag=True, help="Only show the changes.")
@for_target
def setup(target: Target, *, only_look: bool) -> int:
    """Update the Stripe price list to match the plans.

    The command is idempotent. A price that subscriptions use is never changed.
    """
    response = invoke_command(target, "setup", service="billing", only_look=only_look)
    show(target, response, lines_of(response["steps"]))
    return 1 if any(step["difference"] == "refuse" for step in response["steps"]) else 0


@billing.command("flush")
@click.option("--tenant", "tenant_id", help="All usage of this tenant. Without it, the due usage of all tenants.")
@click.option("--running", is_flag=True, help="Close the current hour, too. Later usage is sent as a correction.")
@for_target
def flush(target: Target, *, tenant_id: str | None, running: bool) -> int:
    """Close past hours and send their usage now.

    The exit code is 0 only if Stripe has all of it.
    """
    return show_flush(target, flush_usage(target, tenant_id, running=running))


@billing.command("repair")
@click.option("--tenant", "tenant_id", required=True, help="The tenant to repair.")
@click.option("--days", default=60, show_default=True, type=click.IntRange(1, 60), help="Days to repair.")
@for_target
def repair(target: Target, *, tenant_id: str, days: int) -> int:
    """Send rejected usage again, and usage that Stripe lacks.

    If Stripe rejects an entry again, a correction replaces it.
    """
    from shared.times import to_text, utc_now

    since = to_text(utc_now() - timedelta(days=days))
    response = invoke_command(target, "repair", service="billing", tenant_id=tenant_id, since=since)
    show(target, response, table(response["entries"], ("identifier", "quantity", "state"), empty="Nothing to repair."))
    return 0


def flush_usage(target: Target, tenant_id: str | None, *, running: bool) -> dict[str, Any]:
    """Close the hours of a tenant and send its usage; without a tenant, send the due usage of all.

    Raises:
        CommandRefused: the current hour is to be closed without a tenant.
    """
    if running and tenant_id is None:
        msg = "--running closes the current hour of one tenant. Name the tenant with --tenant."
        raise CommandRefused(msg)
    closed = (
        invoke_command(target, "close", service="metering", tenant_id=tenant_id, running=running) if tenant_id else {}
    )
    return closed | invoke_command(target, "flush", service="billing", tenant_id=tenant_id)


def show_flush(target: Target, flushed: Mapping[str, Any]) -> int:
    """Print the result of a flush, one number on a line, with the reasons for unsent usage. Return the exit code."""
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in flushed.items() if name != "reasons"]
    lines += [f"not sent: {reason}" for reason in flushed["reasons"]]
    if flushed["rejected"]:
        lines.append("To send rejected usage again: ainexus billing repair --tenant TENANT")
    show(target, flushed, lines)
    return 0 if flushed["all_sent"] else 1


def lines_of(steps: Iterable[dict[str, Any]]) -> list[str]:
    """Return the differences, one on a line."""
    rows = [{**step, "": _SIGNS[step["difference"]]} for step in steps]
    return table(rows, ("", "kind", "name", "difference", "detail"), empty="There is nothing to set up.")
