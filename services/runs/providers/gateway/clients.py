"""SDK clients, created on first use and cached, so that their connections are reused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from services.runs.providers.gateway.addresses import Addresses

if TYPE_CHECKING:
    from anthropic import Anthropic
    from openai import OpenAI

    from services.runs.providers.gateway.transport import Transport

_MAX_CLIENTS = 64
_NO_KEY = "none"
"""The key for servers without authentication; without it the SDKs look for one in the environment."""
_AZURE_KEY_HEADER = "api-key"
_OPENAI, _ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com"
"""Set explicitly, so that no environment variable can override them."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A server and the key for it."""

    base_url: str | None
    """None: the provider's own server."""
    key: str = field(repr=False)
    """Empty: the server needs no key."""
    is_azure: bool = False
    """Whether the key is sent as Azure expects it, in the header `api-key`."""


class Clients:
    """The clients, one for each connection; clients of the same host share their open connections."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self.openai: Callable[[Connection], OpenAI] = lru_cache(_MAX_CLIENTS)(self._openai)
        self.anthropic: Callable[[Connection], Anthropic] = lru_cache(_MAX_CLIENTS)(self._anthropic)

    def close(self) -> None:
        """Close the open connections; the next call opens new ones."""
        self._transport.close()

    def _openai(self, connection: Connection) -> "OpenAI":
        from openai import OpenAI

        from services.runs.providers.gateway.transport import http_client

        key_header = _AZURE_KEY_HEADER if connection.is_azure else None
        return OpenAI(
            api_key=connection.key or _NO_KEY,
            base_url=connection.base_url or _OPENAI,
            max_retries=0,
            http_client=http_client(self._transport, key_header=key_header),
        )

    def _anthropic(self, connection: Connection) -> "Anthropic":
        from anthropic import Anthropic

        from services.runs.providers.gateway.transport import http_client

        return Anthropic(
            api_key=connection.key or _NO_KEY,
            base_url=connection.base_url or _ANTHROPIC,
            max_retries=0,
            http_client=http_client(self._transport),
            # Tracing must not export copies of prompts, regardless of the environment.
            open_telemetry=False,
        )

    @cached_property
    def _transport(self) -> "Transport":
        from services.runs.providers.gateway.transport import Transport

        return Transport(self._addresses)
