"""The cost of calls by the providers' list prices, from a table that is part of a package."""

import re
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from services.runs.providers.domain.request import ModelRequest
from services.runs.providers.gateway.addresses import is_official
from services.runs.runs.domain.run import OWN_PRICE_VERSION, Cost
from shared.meters import Meter, Meters
from shared.models.capabilities import REGIONAL_UPLIFT_PERCENT, capabilities_of
from shared.models.hosts import HostKind, host_kind
from shared.money import NANO_PER_USD

_LISTED_ARN = re.compile(r"arn:[^/]*:(?:foundation-model|inference-profile)/(?P<name>.+)")
_NAMES = {"openai": "openai", "anthropic": "anthropic", "bedrock": "aws", "azure": "azure"}
"""The table's names of providers; models of other providers are found by model name."""


def price_of(request: ModelRequest, meters: Meters, at: datetime) -> Cost:
    """Return the cost of a call, rounded once.

    The tenant's own price takes precedence. A simulated answer costs as much as one of the provider that would have
    answered. The cost is unknown for a server that the tenant has configured.

    Args:
        request: the request of the call.
        meters: the usage; tokens_in includes the cached tokens.
        at: the time of the call, since prices change.
    """
    if request.own_price:
        return Cost(request.own_price.cost_nano_usd(meters), OWN_PRICE_VERSION)
    provider = request.priced_as or request.provider
    if not _has_list_price(provider, request.base_url):
        return Cost()
    # Imported here, so that only functions that price calls load it.
    import genai_prices

    version = f"genai-prices {genai_prices.__version__}"
    usage = genai_prices.Usage(
        input_tokens=meters.get(Meter.TOKENS_IN, 0),
        cache_read_tokens=meters.get(Meter.TOKENS_CACHE_READ, 0),
        cache_write_tokens=meters.get(Meter.TOKENS_CACHE_WRITE, 0),
        cache_write_1h_tokens=meters.get(Meter.TOKENS_CACHE_WRITE_1H, 0),
        output_tokens=meters.get(Meter.TOKENS_OUT, 0),
    )
    try:
        calculation = genai_prices.calc_price(
            usage, _listed_name(request.model), provider_id=_NAMES.get(provider), genai_request_timestamp=at
        )
    except LookupError:
        return Cost(None, version)
    price_usd = calculation.total_price * Decimal(100 + _uplift_percent(request)).scaleb(-2)
    return Cost(int((price_usd * NANO_PER_USD).quantize(Decimal(1), ROUND_HALF_UP)), version)


def _listed_name(model: str) -> str:
    """Return the name in the list: that of the model or inference profile in an ARN of Bedrock."""
    found = _LISTED_ARN.fullmatch(model)
    return found["name"] if found else model


def _has_list_price(provider: str, base_url: str | None) -> bool:
    """Return whether this is a server of the provider itself, in any region, or of Azure."""
    if is_official(provider, base_url):
        return True
    regional = {"openai": HostKind.OPENAI_REGIONAL, "azure": HostKind.AZURE}
    return base_url is not None and host_kind(base_url) is regional.get(provider)


def _uplift_percent(request: ModelRequest) -> int:
    """Return the uplift on OpenAI's list price at its regional hosts."""
    if request.base_url is None or host_kind(request.base_url) is not HostKind.OPENAI_REGIONAL:
        return 0
    row = capabilities_of("openai", request.model)
    return REGIONAL_UPLIFT_PERCENT if row and row.has_regional_uplift else 0
