"""The hosts of providers, recognised by the host name of a base URL."""

from enum import StrEnum
from urllib.parse import urlsplit

_AZURE_DOMAINS = (".openai.azure.com", ".openai.azure.us", ".services.ai.azure.com", ".cognitiveservices.azure.com")
"""Source: https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle, read on 2026-11-30."""
_OPENAI_HOST, _ANTHROPIC_HOST = "api.openai.com", "api.anthropic.com"


class HostKind(StrEnum):
    """The operator of a server."""

    OPENAI = "openai"
    OPENAI_REGIONAL = "openai_regional"
    """OpenAI's hosts of one region, such as `eu.api.openai.com`. They need the key of a project in that region.

    Source: https://developers.openai.com/api/docs/guides/data-residency, read on 2026-11-30.
    """
    AZURE = "azure"
    """Azure OpenAI, where the name of a model is the name of a deployment."""
    ANTHROPIC = "anthropic"
    OTHER = "other"
    """A server of the tenant's own, with models of any name."""


def host_kind(base_url: str) -> HostKind:
    """Return the operator of the server at this URL. Only the host name counts."""
    try:
        host = (urlsplit(base_url).hostname or "").lower()
    except ValueError:
        return HostKind.OTHER
    if host == _OPENAI_HOST:
        return HostKind.OPENAI
    if host == _ANTHROPIC_HOST:
        return HostKind.ANTHROPIC
    if host.endswith("." + _OPENAI_HOST):
        return HostKind.OPENAI_REGIONAL
    return HostKind.AZURE if host.endswith(_AZURE_DOMAINS) else HostKind.OTHER
