"""Operators' commands."""

from services.tenants import wiring
from services.tenants.exports import consumer as exports
from services.tenants.removal import consumer as removal
from services.tenants.tenants import consumer as tenants
from services.tenants.users import consumer as users
from shared.messaging.commands import Commands
from shared.messaging.quarantine import add_quarantine_commands

handler = Commands(tenants.commands, users.commands, removal.commands, exports.commands)
add_quarantine_commands(handler, wiring.slice_store)
