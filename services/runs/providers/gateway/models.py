"""The providers by name."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

from services.runs.domain.request import ModelRequest
from services.runs.errors import ProviderNotConfigured
from services.runs.gateways.addresses import Addresses, is_official
from services.runs.gateways.answers import unreadable_keys
from services.runs.gateways.clients import Clients, Connection
from services.runs.gateways.keys import ProviderKeys
from services.runs.gateways.model import Model
from services.runs.gateways.simulated import SimulatedModel
from shared.errors import DependencyUnavailable


class ProviderModels:
    """All providers. What each needs is imported when it is first asked for: the SDKs take a second or two.

    Args:
        keys: of the tenants and of the platform.
        addresses: where a config's `base_url` may lead.
        bedrock: makes a `bedrock-runtime` client that waits so many seconds and never tries again.
        simulate_without_key: whether the built-in provider answers where there is no key, and for Bedrock, which
            has none.
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

    def answering(self, tenant_id: str, request: ModelRequest) -> ModelRequest:
        """The request as it will be answered: by the built-in provider where there is no key and that is allowed."""
        if self._simulate_without_key and self._lacks_key(tenant_id, request):
            return replace(request, provider="simulated")
        return request

    def of(self, tenant_id: str, request: ModelRequest) -> Model:
        """The model that answers this request.

        Raises:
            ProviderNotConfigured: there is no key for this provider.
            ProviderFailed: its address is not allowed, or the keys cannot be read.
        """
        if request.provider == "simulated":
            return self._simulated
        if request.provider == "bedrock":
            return self._converse
        if request.base_url is not None:
            self._addresses.check(request.base_url)
        connection = Connection(request.base_url, self._key(tenant_id, request))
        if request.provider == "anthropic":
            return self._anthropic(connection)
        return self._openai(connection, request)

    def close(self) -> None:
        """Let go of the connections that are kept open."""
        self._clients.close()

    def _lacks_key(self, tenant_id: str, request: ModelRequest) -> bool:
        try:
            return request.provider == "bedrock" or self._keys.for_request(tenant_id, request) is None
        except DependencyUnavailable:
            return False  # The call itself says so.

    def _key(self, tenant_id: str, request: ModelRequest) -> str:
        try:
            key = self._keys.for_request(tenant_id, request)
        except DependencyUnavailable as error:
            raise unreadable_keys(str(error)) from error
        if key is None:
            raise ProviderNotConfigured(request.provider)
        return key

    def _openai(self, connection: Connection, request: ModelRequest) -> Model:
        official = is_official("openai", request.base_url)
        if request.api == "responses" or (official and request.api != "chat"):
            from services.runs.gateways.openai_responses import OpenAiResponses

            return OpenAiResponses(self._clients.openai(connection))
        from services.runs.gateways.openai_chat import OpenAiChat

        return OpenAiChat(self._clients.openai(connection), official=official)

    def _anthropic(self, connection: Connection) -> Model:
        from services.runs.gateways.anthropic_messages import AnthropicMessages

        return AnthropicMessages(self._clients.anthropic(connection))

    @cached_property
    def _converse(self) -> Model:
        from services.runs.gateways.bedrock_converse import BedrockConverse

        return BedrockConverse(self._bedrock)
