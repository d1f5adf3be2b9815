"""What calls cost by the providers' list prices, from a table that is part of a package."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from services.runs.domain.request import ModelRequest
from services.runs.domain.run import Cost
from services.runs.gateways.addresses import is_official
from shared.meters import Meter, Meters
from shared.money import NANO_PER_USD

_NAMES = {"openai": "openai", "anthropic": "anthropic", "bedrock": "aws"}
"""The table's names; any other provider's models are found by their own names."""


def price_of(request: ModelRequest, meters: Meters, at: datetime) -> Cost:
    """The cost of a call, rounded once; a simulated answer costs what the model would have.

    What a server of the tenant's own takes, no table says.

    Args:
        request: of the call.
        meters: that it used; all input with the cache's part in it.
        at: when it was made, since prices change.
    """
    if not is_official(request.provider, request.base_url):
        return Cost()
    # Only what prices a call pays for its import.
    import genai_prices

    version = f"genai-prices {genai_prices.__version__}"
    usage = genai_prices.Usage(
        input_tokens=meters.get(Meter.TOKENS_IN, 0),
        cache_read_tokens=meters.get(Meter.TOKENS_CACHE_READ, 0),
        cache_write_tokens=meters.get(Meter.TOKENS_CACHE_WRITE, 0),
        output_tokens=meters.get(Meter.TOKENS_OUT, 0),
    )
    try:
        found = genai_prices.calc_price(
            usage, request.model, provider_id=_NAMES.get(request.provider), genai_request_timestamp=at
        )
    except LookupError:
        return Cost(None, version)
    return Cost(int((found.total_price * NANO_PER_USD).quantize(Decimal(1), ROUND_HALF_UP)), version)
