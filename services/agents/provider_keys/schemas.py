"""Request and response models of provider keys."""

from typing import Annotated

from pydantic import ConfigDict, Field

from services.agents.base_urls.domain import BaseUrl
from shared.http.responses import ResponseBody
from shared.schema import DocumentedModel
from shared.times import Rfc3339

ApiKey = Annotated[
    str, Field(pattern=r"^[!-~]{1,1000}$", repr=False, json_schema_extra={"format": "password", "writeOnly": True})
]
"""Printable ASCII without spaces, so that the key cannot end its HTTP header and begin another one."""


class NewProviderKey(DocumentedModel):
    """A tenant's own key and the server for which it is used.

    The key is write-only, so key and server can only be replaced together.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"api_key": "sk-example"}]},
    )

    api_key: ApiKey
    """Printable ASCII without spaces. No response contains it."""
    base_url: BaseUrl | None = None
    """The only server that receives the key; null for the provider's own."""


class ProviderKey(DocumentedModel):
    """A stored key without its value."""

    model_config = ConfigDict(from_attributes=True)

    provider: str
    base_url: str | None
    """The only server that receives the key; null for the provider's own."""
    since: Rfc3339
    """The time at which the key was stored."""


class ProviderKeysResponse(ResponseBody):
    """All stored keys of the tenant, at most one for each provider."""

    provider_keys: list[ProviderKey]


class ProviderKeyResponse(ResponseBody):
    """The response with one stored key."""

    provider_key: ProviderKey
