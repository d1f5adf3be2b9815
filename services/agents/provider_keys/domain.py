"""A tenant's own keys for providers."""

from dataclasses import dataclass, field
from datetime import datetime

PROVIDERS_WITH_KEYS = ("openai", "anthropic", "azure")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A stored key without its value."""

    provider: str
    base_url: str | None
    since: datetime
    """The time at which the key was stored."""


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A tenant's own key and the only server that receives it."""

    provider: str
    api_key: str = field(repr=False)
    base_url: str | None = None
    """None for the provider's own server."""

    def to_document(self) -> dict[str, str]:
        """Return the secret as the workers of the runs service read it."""
        server = {} if self.base_url is None else {"base_url": self.base_url}
        return {"api_key": self.api_key, **server}
