"""`quarantine`."""

from collections.abc import Iterator
from typing import Any

import click

from cli.admin import invoke_command
from cli.errors import CommandRefused
from cli.output import show, table
from cli.target import Target, for_target

SERVICES = ("tenants", "runs", "metering", "billing")
"""The services whose schedules sweep."""


@click.group("quarantine")
def quarantine() -> None:
    """Manage entries of sweeps that failed five times in a row."""


@quarantine.command("list")
@for_target
def list_(target: Target) -> None:
    """List the quarantined entries of all services."""
    rows = list(_quarantined(target))
    lines = [{**row, "error": row["error"]["error"]} for row in rows]
    columns = ("failure_id", "service", "kind", "tenant_id", "failures", "quarantined_at", "error")
    show(target, {"quarantined": rows}, table(lines, columns, empty="No entry is quarantined."))


@quarantine.command("show")
@click.argument("failure_id")
@for_target
def show_(target: Target, *, failure_id: str) -> None:
    """Show one entry: its item, its error and the error's stack."""
    row = _find(target, failure_id)
    error = row["error"]
    facts = [f"{name}: {row[name]}" for name in ("service", "kind", "tenant_id", "failures", "quarantined_at")]
    item = f"item: {row['item']['PK']} {row['item']['SK']}"
    show(target, row, [*facts, item, f"error: {error['error']} {error['reason']}".rstrip(), *error["stack"]])


@quarantine.command("release")
@click.argument("failure_id")
@for_target
def release_(target: Target, *, failure_id: str) -> None:
    """Make an entry due again."""
    row = _find(target, failure_id)
    invoke_command(target, "quarantine_release", service=row["service"], failure_id=failure_id)
    show(target, {"released": row}, [f"Released: {row['service']} {row['kind']} of {row['tenant_id']} is due again."])


def _quarantined(target: Target) -> Iterator[dict[str, Any]]:
    for service in SERVICES:
        for row in invoke_command(target, "quarantine_list", service=service)["quarantined"]:
            yield {**row, "service": service}


def _find(target: Target, failure_id: str) -> dict[str, Any]:
    found = next((row for row in _quarantined(target) if row["failure_id"] == failure_id), None)
    if found is None:
        msg = "No quarantined entry has this id. List them with `ainexus quarantine list`."
        raise CommandRefused(msg)
    return found
