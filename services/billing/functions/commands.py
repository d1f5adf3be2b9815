"""Operators' commands."""

from services.billing import wiring
from services.billing.catalog import consumer as catalog
from services.billing.reconciliation import consumer as reconciliation
from services.billing.usage_sync import consumer as usage_sync
from shared.messaging.commands import Commands
from shared.messaging.quarantine import add_quarantine_commands

handler = Commands(catalog.commands, usage_sync.commands, reconciliation.commands)
add_quarantine_commands(handler, wiring.slice_store)
