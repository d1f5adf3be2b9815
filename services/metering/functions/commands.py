"""The commands of operators."""

from services.metering import wiring
from services.metering.hours import consumer as hours
from services.metering.reconciliation import consumer as reconciliation
from shared.messaging.commands import Commands
from shared.messaging.quarantine import add_quarantine_commands

handler = Commands(hours.commands, reconciliation.commands)
add_quarantine_commands(handler, wiring.slice_store)
