"""The providers by name."""

from services.runs.domain.request import ModelRequest
from services.runs.errors import ProviderNotConfigured
from services.runs.gateways.model import Model
from services.runs.gateways.simulated import SimulatedModel


class ProviderModels:
    """Those that are built in; the others have no adapter yet, so they are not configured."""

    def __init__(self) -> None:
        self._simulated = SimulatedModel()

    def of(self, request: ModelRequest) -> Model:
        """The model that answers this request.

        Raises:
            ProviderNotConfigured: there is none for this provider.
        """
        if request.provider == "simulated":
            return self._simulated
        raise ProviderNotConfigured(request.provider)
