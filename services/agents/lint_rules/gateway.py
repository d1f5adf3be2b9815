"""The list prices of models, from a table that is part of a package."""

from datetime import datetime

from shared.money import NANO_PER_USD

_NAMES = {"openai": "openai", "anthropic": "anthropic", "bedrock": "aws", "azure": "azure"}
"""The table's names of providers."""


def list_price(provider: str, model: str, tokens_in: int, tokens_out: int, *, at: datetime) -> int | None:
    """Return the list price of a call in nano-USD, or None if the table lacks the model."""
    # Imported here, so that only lints load the table.
    import genai_prices

    usage = genai_prices.Usage(input_tokens=tokens_in, output_tokens=tokens_out)
    try:
        found = genai_prices.calc_price(
            usage, model, provider_id=_NAMES.get(provider, provider), genai_request_timestamp=at
        )
    except LookupError:
        return None
    return int(found.total_price * NANO_PER_USD)
