"""The table's row of the model behind a request."""

from shared.models.capabilities import Capabilities, capabilities_of
from shared.models.hosts import HostKind, host_kind


def row_of(provider: str, model: str, base_url: str | None) -> Capabilities | None:
    """Return the capabilities of a model; None if it is unknown, as at a server of the tenant's own."""
    if kind_of(provider, base_url) is HostKind.OTHER:
        return None
    return capabilities_of(provider, model)


def kind_of(provider: str, base_url: str | None) -> HostKind | None:
    """Return the operator of the server; None for Bedrock and the built-in provider."""
    if base_url is not None and provider != "bedrock":
        return host_kind(base_url)
    return {"openai": HostKind.OPENAI, "anthropic": HostKind.ANTHROPIC}.get(provider)
