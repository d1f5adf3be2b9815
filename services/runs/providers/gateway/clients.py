"""The SDKs' clients, made when they are first needed and kept, so that their connections are used again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from services.runs.gateways.addresses import Addresses

if TYPE_CHECKING:
    from anthropic import Anthropic
    from openai import OpenAI

    from services.runs.gateways.transport import Transport

_KEPT = 64
_NO_KEY = "none"
"""For servers that ask for no key; the SDKs would look for one in the environment."""
_OPENAI, _ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com"
"""Said, so that no variable of the environment can say otherwise."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Which server, with which key."""

    base_url: str | None
    """None: the provider's own."""
    key: str = field(repr=False)
    """Empty: it needs none."""


class Clients:
    """One client for each connection; they share what is open to the same host."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self.openai: Callable[[Connection], OpenAI] = lru_cache(_KEPT)(self._openai)
        self.anthropic: Callable[[Connection], Anthropic] = lru_cache(_KEPT)(self._anthropic)

    def close(self) -> None:
        """Let go of what is open; the next call opens it again."""
        self._transport.close()

    def _openai(self, connection: Connection) -> "OpenAI":
        from openai import OpenAI

        from services.runs.gateways.transport import http_client

        return OpenAI(
            api_key=connection.key or _NO_KEY,
            base_url=connection.base_url or _OPENAI,
            max_retries=0,
            http_client=http_client(self._transport),
        )

    def _anthropic(self, connection: Connection) -> "Anthropic":
        from anthropic import Anthropic

        from services.runs.gateways.transport import http_client

        return Anthropic(
            api_key=connection.key or _NO_KEY,
            base_url=connection.base_url or _ANTHROPIC,
            max_retries=0,
            http_client=http_client(self._transport),
            # No copy of a prompt may leave by way of traces, whatever the environment says.
            open_telemetry=False,
        )

    @cached_property
    def _transport(self) -> "Transport":
        from services.runs.gateways.transport import Transport

        return Transport(self._addresses)
