"""The models of configs, with their capabilities and replacements."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.models.capabilities import Capabilities, capabilities_of
from shared.models.hosts import HostKind, host_kind
from shared.models.names import ModelName, UnknownModel, WrongPrefix, locate

REPLACEMENTS: Mapping[str, str] = {
    "gpt-3.5-turbo": "gpt-5.4-mini",
    "gpt-4": "gpt-5.4",
    "gpt-4-turbo": "gpt-5.4",
    "gpt-4o": "gpt-5.4",
    "gpt-4.1": "gpt-5.4",
    "gpt-4.1-nano": "gpt-5.4-mini",
    "o1": "gpt-5.5",
    "o1-mini": "gpt-5.4-mini",
    "o3": "gpt-5.5",
    "o3-mini": "gpt-5.4-mini",
    "o4-mini": "gpt-5.4-mini",
    "gpt-5": "gpt-5.5",
    "gpt-5-pro": "gpt-5.4-pro",
    "gpt-5.1": "gpt-5.5",
    "gpt-5.3-codex": "gpt-5.5",
    "gpt-5.4-nano": "gpt-5.4-mini",
    "claude-3-7-sonnet": "claude-sonnet-5-5",
    "claude-sonnet-4": "claude-sonnet-5-5",
    "claude-opus-4": "claude-opus-5-5",
    "claude-opus-4-1": "claude-opus-5-5",
    "claude-opus-4-5": "claude-opus-5-5",
}
"""The successor of each family that is retired or has a date, of the same provider and in the same class, in the table
of models. A test compares both tables."""


@dataclass(frozen=True, slots=True)
class ModelOfConfig:
    """A model at its provider."""

    name: ModelName
    capabilities: Capabilities | None
    """None: the table has no row of its family."""

    @property
    def replacement(self) -> str | None:
        """The successor of a model that has a date of retirement."""
        return REPLACEMENTS.get(self.capabilities.family) if self.capabilities else None


def model_of(config: Mapping[str, Any]) -> ModelOfConfig | None:
    """Return the model of a config; None if its name is wrong or a server of the tenant's own has it."""
    return _model(config.get("model"), provider=config.get("provider"), base_url=config.get("base_url"))


def fallback_model(name: object) -> ModelOfConfig | None:
    """Return the model of a fallback, which is called at its own provider; None if its name is wrong."""
    return _model(name, provider=None, base_url=None)


def _model(name: object, *, provider: object, base_url: object) -> ModelOfConfig | None:
    if not isinstance(name, str) or not name:
        return None
    server = base_url if isinstance(base_url, str) else None
    if server is not None and host_kind(server) is HostKind.OTHER:
        return None
    try:
        found = locate(name, provider=provider if isinstance(provider, str) else None, base_url=server)
    except (UnknownModel, WrongPrefix):
        return None
    return ModelOfConfig(found, capabilities_of(found.provider, found.model))
