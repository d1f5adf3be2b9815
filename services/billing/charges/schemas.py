"""Responses of the charges API."""

from pydantic import ConfigDict

from shared.http.responses import ResponseBody
from shared.schema import DocumentedModel
from shared.times import Rfc3339


class BillLine(DocumentedModel):
    """One line of a bill: quantity times unit price."""

    model_config = ConfigDict(from_attributes=True)

    item: str
    """`base`, or the meter with its unit."""
    quantity: int
    unit_price_cents: str
    charge_nano_usd: int
    """The charge before it is rounded to cents."""
    amount_cents: int


class Bill(DocumentedModel):
    """The lines of a bill and their sum."""

    model_config = ConfigDict(from_attributes=True)

    lines: list[BillLine]
    charge_nano_usd: int
    amount_cents: int


class PeriodCost(DocumentedModel):
    """The cost of the current period."""

    plan: str
    billing: str
    period_start: Rfc3339
    period_end: Rfc3339
    counted_until: Rfc3339
    """The end of the newest counted hour."""
    so_far: Bill
    forecast: Bill
    """The bill of the whole period if usage continues at the same rate."""


class PeriodCostResponse(ResponseBody):
    """The response with the cost of the current period."""

    usage: PeriodCost
