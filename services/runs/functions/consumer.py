"""The consumer of other services' events, and of this service's own artifact events."""

from services.runs import wiring
from services.runs.agents import consumer as agents
from services.runs.budgets import consumer as budgets
from services.runs.prompts import consumer as prompts
from services.runs.runs import consumer as runs
from services.runs.runs.table.storage import CONSUMER
from services.runs.tenants import consumer as tenants
from shared.messaging.consumer import EventConsumer

CONTROL = (*tenants.events.types, *agents.events.types, *prompts.events.types)
"""Events with a queue of their own, so that they do not wait behind usage and artifacts."""

handler = EventConsumer(
    CONSUMER, runs.events, tenants.events, agents.events, prompts.events, budgets.events, is_deleted=wiring.is_deleted
)
