"""`reconcile`: whether runs, ledger, counters, budgets, billing and Stripe say the same."""

import sys
from typing import Any

import click

from cli.output import show, table
from cli.reconciliation.comparison import Reconciliation, rows_of, tenants_with_books
from cli.target import Target, for_target

_COLUMNS = ("tenant_id", "place", "at", "meter", "expected", "found", "subject")


@click.command()
@click.option("--tenant", "tenant_id", help="Only this tenant.")
@click.option("--repair", is_flag=True, help="Put right what is wrong, by corrections that are said and recorded.")
@for_target
def reconcile(target: Target, *, tenant_id: str | None, repair: bool) -> int:
    """Compare all accounts of what was used.

    60 days of the ledger are recounted and held against runs, counters, budgets, billing and Stripe. What is on its
    way is pending, and no drift. The exit code is 0 only when there is no drift (any more).
    """
    found: dict[str, Any] = {"drift": [], "pending": [], "repaired": [], "tenants": 0, "entries": 0}
    tenants = [tenant_id] if tenant_id else tenants_with_books(target)
    with click.progressbar(tenants, label="Tenants", file=sys.stderr, item_show_func=str) as shown:
        for one in shown:
            _add(found, one, Reconciliation.of(target, one), repair=repair)
    show(target, found, _lines(found))
    return 1 if found["drift"] else 0


def _add(found: dict[str, Any], tenant_id: str, books: Reconciliation, *, repair: bool) -> None:
    look = books.look_twice()
    if repair and look.drift:
        found["repaired"] += [{"tenant_id": tenant_id, "what": what} for what in books.repair(look)]
        look = books.settle()
    found["drift"] += rows_of(tenant_id, look.drift)
    found["pending"] += rows_of(tenant_id, look.pending)
    found["tenants"] += 1
    found["entries"] += look.entries


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{one['tenant_id']}: {one['what']}" for one in found["repaired"]]
    if found["pending"]:
        lines += ["On its way:", *table(found["pending"], _COLUMNS, empty="")]
    looked = f"{found['entries']} entries of {found['tenants']} tenants recounted"
    if not found["drift"]:
        return [*lines, f"No drift: {looked}, and everything says the same."]
    return [*lines, "Drift:", *table(found["drift"], _COLUMNS, empty=""), f"{looked}."]
