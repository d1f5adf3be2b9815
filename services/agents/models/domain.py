"""The rule for the names of models in a config, and their own prices."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field

from services.agents.errors import ModelNotAllowed
from shared.models.names import UnknownModel, WrongPrefix, locate
from shared.schema import DocumentedModel

_AZURE_PREFIX = "azure/"


UsdPerMillion = Annotated[Decimal, Field(strict=False, ge=0, le=1_000_000, max_digits=12, decimal_places=6)]
"""USD for one million tokens, as a number or a text. It is stored as a text, and is exact."""


class ModelPrice(DocumentedModel):
    """The tenant's own price of the model, in USD for one million tokens. It applies to cost and to `max_cost_usd`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input_per_million_usd: UsdPerMillion
    output_per_million_usd: UsdPerMillion
    cache_read_per_million_usd: UsdPerMillion | None = None
    """Input that is read from the cache; null for the price of other input."""
    cache_write_per_million_usd: UsdPerMillion | None = None
    """Input that is written to the cache; null for the price of other input."""


def check_models(model: str, fallbacks: Sequence[str], *, provider: str | None, base_url: str | None) -> None:
    """Check that a provider is known for each model of a config.

    Args:
        model: the model of the config. A server of the tenant's own has models of any name.
        fallbacks: the fallbacks, which are called at their own providers.
        provider: the configured provider, if any.
        base_url: the configured server, if any.

    Raises:
        ModelNotAllowed: a name belongs to no known family and has no provider as its prefix, or a prefix contradicts
            the provider or the server.
    """
    _check(model, field="config.model", provider=provider, base_url=base_url)
    for number, name in enumerate(fallbacks):
        # Azure has no address of its own, so a fallback at Azure uses the server of the config.
        server = base_url if name.lower().startswith(_AZURE_PREFIX) else None
        _check(name, field=f"config.fallbacks.{number}", provider="azure" if server else None, base_url=server)


def _check(name: str, *, field: str, provider: str | None, base_url: str | None) -> None:
    try:
        locate(name, provider=provider, base_url=base_url)
    except (UnknownModel, WrongPrefix) as error:
        raise ModelNotAllowed(field, str(error)) from error
