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
    """In the unit of `item`."""
    unit_price_cents: str
    """In cents of a USD, with up to twelve decimals."""
    charge_nano_usd: int
    """The charge before it is rounded to cents."""
    amount_cents: int
    """The charge, rounded to cents of a USD."""


class Bill(DocumentedModel):
    """The lines of a bill and their sum."""

    model_config = ConfigDict(from_attributes=True)

    lines: list[BillLine]
    charge_nano_usd: int
    """The sum of the charges of the lines."""
    amount_cents: int
    """The sum of the rounded lines, in cents of a USD."""


class PeriodCost(DocumentedModel):
    """The cost of the current period."""

    plan: str
    billing: str
    """`stripe` or `manual`."""
    period_start: Rfc3339
    """The start of the period; it is half-open."""
    period_end: Rfc3339
    counted_until: Rfc3339
    """The end of the newest counted hour."""
    so_far: Bill
    """The bill of the usage up to `counted_until`."""
    forecast: Bill
    """The bill of the whole period if usage continues at the same rate."""


class PeriodCostResponse(ResponseBody):
    """The response with the cost of the current period."""

    usage: PeriodCost
