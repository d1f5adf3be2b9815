"""Commands of the reconciliation."""

from dataclasses import asdict
from typing import Any

from services.billing import wiring
from services.billing.reconciliation import operations
from services.billing.reconciliation.schemas import WindowCommand
from shared.messaging.commands import CommandRouter
from shared.times import to_text, utc_now

commands = CommandRouter()


@commands.on("compare_records", WindowCommand)
def compare_records(command: WindowCommand) -> dict[str, Any]:
    """Return the stored usage by hour, and the differences between usage, sync ledger, Stripe's sums and invoices."""
    store, now = wiring.slice_store(), utc_now()
    window = operations.window_until(now, since=command.since)
    discrepancies = operations.compare(store, wiring.find_stripe_gateway(), command.tenant_id, window, now=now)
    received: dict[str, dict[str, Any]] = {}
    for one in operations.list_usage(store, command.tenant_id, window):
        hour = received.setdefault(to_text(one.hour), {"numbers": {}, "revs": []})
        for name, amount in {"events": one.events, **one.meters}.items():
            hour["numbers"][name] = hour["numbers"].get(name, 0) + amount
        hour["revs"].append(one.rev)
    return {
        "drift": [asdict(one.drift) for one in discrepancies if not one.pending],
        "pending": [asdict(one.drift) for one in discrepancies if one.pending],
        "hours": received,
    }


@commands.on("repair", WindowCommand)
def repair(command: WindowCommand) -> dict[str, Any]:
    """Correct the differences between usage, sync ledger and Stripe's sums with new entries, and send them."""
    now = utc_now()
    window = operations.window_until(now, since=command.since)
    entries = operations.repair(wiring.slice_store(), wiring.stripe_gateway(), command.tenant_id, window, now=now)
    return {
        "entries": [
            {"identifier": entry.identifier, "quantity": entry.quantity, "state": entry.state} for entry in entries
        ]
    }
