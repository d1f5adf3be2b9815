"""The providers by name."""

from services.runs.domain.request import SIMULATED
from services.runs.errors import ProviderNotConfigured
from services.runs.gateways.model import Model
from services.runs.gateways.simulated import SimulatedModel


class ProviderModels:
    """Those that are built in and those that have a key."""

    def __init__(self) -> None:
        self._simulated = SimulatedModel()

    def of(self, provider: str) -> Model:
        """The provider of this name.

        Raises:
            ProviderNotConfigured: there is no key for it.
        """
        if provider == SIMULATED:
            return self._simulated
        raise ProviderNotConfigured(provider)
