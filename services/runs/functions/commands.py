"""Operator commands: the usage in runs and budgets, and its repair."""

from services.runs import wiring
from services.runs.budgets import consumer as budgets
from services.runs.runs import consumer as runs
from shared.messaging.commands import Commands
from shared.messaging.quarantine import add_quarantine_commands

handler = Commands(runs.commands, budgets.commands)
add_quarantine_commands(handler, wiring.slice_store)
