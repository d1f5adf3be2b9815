"""`reconcile`."""

import sys
from typing import Any

import click

from cli.output import show, table
from cli.target import Target, for_target

_COLUMNS = ("tenant_id", "place", "at", "meter", "expected", "found", "subject")


@click.command()
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option("--repair", is_flag=True, help="Correct the drift; corrections are published and audited.")
@for_target
def reconcile(target: Target, *, tenant_id: str | None, repair: bool) -> int:
    """Compare all records of usage with each other.

    The ledger of 60 days is counted again and compared with runs, counters, budgets, billing and Stripe. Usage that
    is still being processed is pending. The exit code is 0 if every tenant was compared and no drift is left.
    """
    from cli.reconciliation.comparison import Reconciliation, list_tenants_by_usage
    from cli.reconciliation.summary import ReconciliationSummary

    summary = ReconciliationSummary()
    tenants = [tenant_id] if tenant_id else list_tenants_by_usage(target)
    with click.progressbar(tenants, label="Tenants", file=sys.stderr, item_show_func=str) as progress:
        for one in progress:
            summary.add(Reconciliation.of(target, one), repair=repair)
    found = summary.to_json()
    show(target, found, lines_of(found))
    return 1 if found["drift"] or found["failed"] else 0


def lines_of(found: dict[str, Any]) -> list[str]:
    """Return the repairs and the differences, one on a line."""
    lines = [f"{one['tenant_id']}: {one['what']}" for one in found["repaired"]]
    lines += [f"{one['tenant_id']} was not compared: {one['reason']}" for one in found["failed"]]
    if found["pending"]:
        lines += ["Pending:", *table(found["pending"], _COLUMNS, empty="")]
    scope = f"{found['entries']} ledger entries of {found['tenants']} tenants compared"
    if not found["drift"]:
        return [*lines, f"No drift: {scope}."]
    return [*lines, "Drift:", *table(found["drift"], _COLUMNS, empty=""), f"{scope}."]
