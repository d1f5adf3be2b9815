"""The providers by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

from services.runs.errors import ProviderNotConfigured
from services.runs.providers.domain.model import Model
from services.runs.providers.domain.parameters import api_of, is_openai_itself
from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.gateway.addresses import Addresses
from services.runs.providers.gateway.clients import Clients, Connection
from services.runs.providers.gateway.failures import unreadable_keys
from services.runs.providers.gateway.keys import ProviderKeys
from services.runs.providers.gateway.recovery import TolerantModel
from services.runs.providers.gateway.simulated import SimulatedModel
from shared.errors import DependencyUnavailable


class ProviderModels:
    """All providers. The SDK of each is imported on first use, which takes one or two seconds.

    Args:
        keys: the keys of the tenants and of the platform.
        addresses: the rule for the `base_url` of a config.
        bedrock: returns a `bedrock-runtime` client with this read timeout in seconds and without retries.
        simulate_without_key: whether the built-in provider answers requests without a key, and those to Bedrock,
            which has no keys.
    """

    def __init__(
        self,
        keys: ProviderKeys,
        *,
        addresses: Addresses,
        bedrock: Callable[[float], Any],
        simulate_without_key: bool = False,
    ) -> None:
        self._keys = keys
        self._addresses = addresses
        self._bedrock = bedrock
        self._clients = Clients(addresses)
        self._simulated = SimulatedModel()
        self._simulate_without_key = simulate_without_key

    def effective_request(self, tenant_id: str, request: ModelRequest) -> ModelRequest:
        """Return the request with its actual provider: the built-in one if there is no key and that is allowed."""
        if self._simulate_without_key and self._lacks_key(tenant_id, request):
            return replace(request, provider="simulated")
        return request

    def of(self, tenant_id: str, request: ModelRequest) -> Model:
        """Return the model that answers this request.

        Raises:
            ProviderNotConfigured: there is no key for this provider.
            ProviderFailed: its address is not allowed, or the keys cannot be read.
        """
        return TolerantModel(self._of(tenant_id, request))

    def _of(self, tenant_id: str, request: ModelRequest) -> Model:
        if request.provider == "simulated":
            return self._simulated
        if request.provider == "bedrock":
            return self._converse
        if request.base_url is not None:
            self._addresses.check(request.base_url)
        key, is_azure = self._key(tenant_id, request), request.provider == "azure"
        connection = Connection(request.base_url, key, is_azure=is_azure)
        if request.provider == "anthropic":
            return self._anthropic(connection)
        return self._openai(connection, request)

    def close(self) -> None:
        """Close the open connections."""
        self._clients.close()

    def _lacks_key(self, tenant_id: str, request: ModelRequest) -> bool:
        try:
            return request.provider == "bedrock" or self._keys.for_request(tenant_id, request) is None
        except DependencyUnavailable:
            return False  # The call itself reports the outage.

    def _key(self, tenant_id: str, request: ModelRequest) -> str:
        try:
            key = self._keys.for_request(tenant_id, request)
        except DependencyUnavailable as error:
            raise unreadable_keys(str(error)) from error
        if key is None:
            raise ProviderNotConfigured(request.provider)
        return key

    def _openai(self, connection: Connection, request: ModelRequest) -> Model:
        if api_of(request) == "responses":
            from services.runs.providers.gateway.openai_responses import OpenAiResponses

            return OpenAiResponses(self._clients.openai(connection))
        from services.runs.providers.gateway.openai_chat import OpenAiChat

        return OpenAiChat(self._clients.openai(connection), official=is_openai_itself(request))

    def _anthropic(self, connection: Connection) -> Model:
        from services.runs.providers.gateway.anthropic_messages import AnthropicMessages

        return AnthropicMessages(self._clients.anthropic(connection))

    @cached_property
    def _converse(self) -> Model:
        from services.runs.providers.gateway.bedrock_converse import BedrockConverse

        return BedrockConverse(self._bedrock)
