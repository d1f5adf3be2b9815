"""The dependencies of a worker."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.runs.agents.domain import Configs
from services.runs.execution.domain.retry import Jitter
from services.runs.execution.operations.planning import Planner, Price
from services.runs.providers.domain.model import Model
from services.runs.providers.domain.request import ModelRequest
from services.runs.runs.table.runs import RunTable
from shared.tenancy.context import TenantAccess

ACTIVE = "active"
"""The status of a tenant whose runs may execute."""


class Models(Protocol):
    """The providers."""

    def effective_request(self, tenant_id: str, request: ModelRequest) -> ModelRequest:
        """Return the request with its actual provider: the built-in one if there is no key and that is allowed."""
        ...

    def of(self, tenant_id: str, request: ModelRequest) -> Model:
        """Return the model that answers this request.

        Raises:
            ProviderFailed: the provider is not configured.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkerDependencies:
    """The tables of one tenant, providers and functions that the execution of a run uses."""

    runs: RunTable
    configs: Configs
    models: Models
    planner: Planner
    access: Callable[[str], TenantAccess]
    price: Price
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    jitter: Jitter
    status: Callable[[str], str] = lambda _: ACTIVE
    """The status of a tenant, known as of a moment ago."""
    new_lease_id: Callable[[], str] = lambda: ""
    """Draws the id of a lease; an empty one is not found again when its answer is lost."""
