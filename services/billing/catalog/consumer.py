"""Commands of the catalog."""

from typing import Any

from services.billing import wiring
from services.billing.catalog import operations
from services.billing.catalog.schemas import SetupCommand
from shared.messaging.commands import CommandRouter

commands = CommandRouter()


@commands.on("setup", SetupCommand)
def set_up(command: SetupCommand) -> dict[str, Any]:
    """Create Stripe's meters, products and prices from the plans file."""
    steps = operations.set_up(wiring.catalog(), dry_run=command.only_look)
    return {
        "steps": [
            {"kind": step.kind, "name": step.name, "difference": step.action, "detail": step.detail} for step in steps
        ]
    }
