"""The HTTP API of tenants."""

from services.agents import wiring
from services.agents.agents import api as agents
from services.agents.linting import api as linting
from services.agents.prompts import api as prompts
from services.agents.provider_keys import api as provider_keys
from shared.http.app import HttpApp

handler = HttpApp(
    agents.router, linting.router, prompts.router, provider_keys.router, access=wiring.access, store=wiring.tenant_store
)
