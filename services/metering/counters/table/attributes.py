"""The attributes of amounts and dimensions. Operators know their names."""

from typing import cast

from services.metering.counters.domain.amounts import Amounts, Dimensions
from shared.meters import LEDGER_METERS, Meters
from shared.storage.codec import Codec
from shared.storage.items import Item, Value


class _MeterCodec(Codec[Meters]):
    """Meters as attributes of the item itself, except those that are 0: updates add to each of them."""

    def __init__(self) -> None:
        super().__init__(dict)

    def encode(self, record: Meters) -> dict[str, Value]:
        """Return the attributes of meters."""
        return {meter: amount for meter, amount in record.items() if amount}

    def decode(self, item: Item, **given: object) -> Meters:  # noqa: ARG002 — as the base class
        """Return the meters of an item."""
        return {meter: cast("int", amount) for meter in LEDGER_METERS if (amount := item.get(meter))}


DIMENSIONS = Codec(Dimensions, names={"agent_id": "agentId", "project_id": "projectId"})
METERS = _MeterCodec()
AMOUNTS = Codec(
    Amounts,
    names={"unpriced": "unpriced_events", "priced_nano_usd": "cost_nano_usd"},
    flat={"meters": METERS},
)
