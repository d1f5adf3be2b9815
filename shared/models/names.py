"""The names of models and the providers that they imply."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import cast

from shared.models.capabilities import TABLE, Provider, capabilities_of
from shared.models.hosts import HostKind, host_kind

_PREFIXED = ("openai", "anthropic", "bedrock", "azure")
"""The providers that a prefix can name, as in `openai/gpt-5.4`."""
_FAMILIES: tuple[tuple[Provider, re.Pattern[str]], ...] = (
    ("openai", re.compile(r"(gpt|chatgpt|codex|computer-use)-.|o[0-9]+(-|$)|ft:(gpt|o[0-9]|babbage|davinci)")),
    ("anthropic", re.compile(r"claude-.")),
    (
        "bedrock",
        re.compile(
            r"arn:aws[a-z-]*:bedrock:.|"
            r"((us|us-gov|eu|apac|ap|jp|au|ca|sa|me|global)\.)?"
            r"(ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|"
            r"qwen|stability|twelvelabs|writer|xai|zai)\.."
        ),
    ),
)
"""The beginnings of names in lower case. Names of models that appear later need no change here."""
_CASE_SENSITIVE = ("ft:", "arn:")
"""Names that contain ids of the tenant's."""
_BEDROCK_EXAMPLES = (
    "amazon.nova-lite-v1:0",
    "amazon.nova-micro-v1:0",
    "amazon.nova-premier-v1:0",
    "amazon.nova-pro-v1:0",
    "meta.llama3-3-70b-instruct-v1:0",
    "meta.llama4-maverick-17b-instruct-v1:0",
    "mistral.mistral-large-3-675b-instruct",
    "openai.gpt-oss-120b-1:0",
    "qwen.qwen3-32b-v1:0",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "us.anthropic.claude-sonnet-4-6-v1:0",
)
SUGGESTIONS = 3
"""The number of names that are suggested for an unknown one."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model at its provider."""

    provider: Provider
    model: str
    """The name as it is sent to the provider."""


class UnknownModel(ValueError):
    """The name implies no provider.

    Args:
        name: the name as it was given.
    """

    def __init__(self, name: str) -> None:
        self.nearest = nearest_names(name)
        names = f"{', '.join(self.nearest[:-1])} and {self.nearest[-1]}"
        super().__init__(
            f"is the name of no known model; the nearest names are {names}. A prefix such as openai/ names the provider"
        )


class WrongPrefix(ValueError):
    """The prefix of the name contradicts the provider or the server."""


def parse(name: str) -> ModelName:
    """Return the model of this name. Known families are recognised regardless of case.

    Raises:
        UnknownModel: the name has no provider as its prefix and belongs to no known family.
    """
    prefix, _, rest = name.partition("/")
    if prefix.lower() in _PREFIXED and rest:
        provider = cast("Provider", prefix.lower())
        return ModelName(provider, rest if provider == "azure" else _sent(rest))
    provider = _provider_of(name)
    if provider is None:
        raise UnknownModel(name)
    return ModelName(provider, _sent(name))


def encrypts_reasoning(model: str) -> bool:
    """Return whether a model of OpenAI's encrypts its reasoning. New families do; others refuse a request for it."""
    row = capabilities_of("openai", model)
    return row.reasons if row else _provider_of(model) == "openai"


def _provider_of(name: str) -> Provider | None:
    """Return the provider of the family that this name belongs to."""
    lower = name.lower()
    return next((provider for provider, family in _FAMILIES if family.match(lower)), None)


def locate(name: str, *, provider: str | None, base_url: str | None) -> ModelName:
    """Return the model of a config. A server of the tenant's own has models of any name, and so has a named provider.

    Args:
        name: the configured name.
        provider: the configured provider, if any.
        base_url: the configured server, if any.

    Raises:
        UnknownModel: the name implies no provider, and none is configured.
        WrongPrefix: the prefix names another provider than the config, or Azure without its server.
    """
    kind = host_kind(base_url) if base_url is not None else None
    if kind is HostKind.OTHER and provider != "azure":
        return ModelName(cast("Provider", provider or "openai"), name)
    prefixed = _prefixed(name)
    located = _at_host(kind, provider, name) if kind or provider else parse(name)
    if prefixed and not _agree(prefixed.provider, located.provider):
        msg = f"has the prefix of {prefixed.provider}, but the provider of the config is {located.provider}"
        raise WrongPrefix(msg)
    if located.provider == "azure" and kind is not HostKind.AZURE:
        msg = "needs a base_url of Azure OpenAI, such as https://NAME.openai.azure.com/openai/v1"
        raise WrongPrefix(msg)
    return located


def _at_host(kind: HostKind | None, provider: str | None, name: str) -> ModelName:
    """Return the model at a configured provider or a provider's host."""
    if kind is HostKind.AZURE and provider in {None, "openai", "azure"}:
        provider = "azure"
    elif provider is None:
        provider = "anthropic" if kind is HostKind.ANTHROPIC else "openai"
    named = cast("Provider", provider)
    prefixed = _prefixed(name)
    if prefixed and _agree(prefixed.provider, named):
        return ModelName(named, prefixed.model)
    return ModelName(named, name if named == "azure" else _canonical(name))


def _prefixed(name: str) -> ModelName | None:
    prefix, _, rest = name.partition("/")
    return parse(name) if prefix.lower() in _PREFIXED and rest else None


def _agree(prefix: Provider, provider: Provider) -> bool:
    """Return whether a prefix fits the provider. Simulations accept the names of all models."""
    return provider in {prefix, "simulated"}


def _canonical(name: str) -> str:
    """Return a name of a known family as its provider writes it, and others unchanged."""
    try:
        return parse(name).model
    except UnknownModel:
        return name


def _sent(name: str) -> str:
    return name if name.lower().startswith(_CASE_SENSITIVE) else name.lower()


def nearest_names(name: str) -> Sequence[str]:
    """Return the three known names that are most similar to this one."""
    known = [row.family for row in TABLE if row.provider != "bedrock"]
    return get_close_matches(name.lower(), [*known, *_BEDROCK_EXAMPLES], n=SUGGESTIONS, cutoff=0)
