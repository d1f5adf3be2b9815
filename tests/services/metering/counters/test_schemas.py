"""The amounts of meters in responses."""

from services.metering.counters.schemas import MeterAmounts
from shared.meters import LEDGER_METERS, Meter


def test_has_a_field_for_every_meter() -> None:
    assert [*MeterAmounts.model_fields] == [*LEDGER_METERS]


def test_unused_meters_are_zero() -> None:
    amounts = MeterAmounts.of({Meter.TOKENS_IN: 15})
    assert {name: amount for name, amount in amounts.model_dump().items() if amount} == {"tokens_in": 15}
