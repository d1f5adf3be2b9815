"""The price of a model that the tenant has set, for its own server or its own contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.meters import Meter, Meters
from shared.money import nano_usd

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """Prices of one million tokens, in nano-USD."""

    input_nano_usd: int
    output_nano_usd: int
    cache_read_nano_usd: int
    cache_write_nano_usd: int

    @classmethod
    def from_config(cls, price: Mapping[str, Any] | None) -> "OwnPrice | None":
        """Return the price in a config; cached input costs as much as other input unless it has its own price."""
        if price is None:
            return None
        input_usd = str(price["input_per_million_usd"])
        return cls(
            input_nano_usd=nano_usd(input_usd),
            output_nano_usd=nano_usd(str(price["output_per_million_usd"])),
            cache_read_nano_usd=nano_usd(str(price.get("cache_read_per_million_usd", input_usd))),
            cache_write_nano_usd=nano_usd(str(price.get("cache_write_per_million_usd", input_usd))),
        )

    def cost_nano_usd(self, meters: Meters) -> int:
        """Return the cost of a call, rounded half up once.

        Args:
            meters: the usage; tokens_in includes the cached tokens.
        """
        read, written = meters.get(Meter.TOKENS_CACHE_READ, 0), meters.get(Meter.TOKENS_CACHE_WRITE, 0)
        millionths = (
            (meters.get(Meter.TOKENS_IN, 0) - read - written) * self.input_nano_usd
            + read * self.cache_read_nano_usd
            + written * self.cache_write_nano_usd
            + meters.get(Meter.TOKENS_OUT, 0) * self.output_nano_usd
        )
        return (millionths + _MILLION // 2) // _MILLION
