"""The gateway to Stripe's meter events and their sums."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from services.billing.catalog.domain import BilledMeter
from services.billing.catalog.gateway import meter_ids
from services.billing.errors import PaymentDeclined, RejectedByStripe, UsageNotAccepted
from services.billing.stripe_api.gateway.client import catalog_missing, translate_errors
from services.billing.stripe_api.gateway.objects import StripeGateway, from_epoch, to_epoch
from services.billing.usage_sync.domain import SyncEntry

if TYPE_CHECKING:
    from stripe import StripeClient

SumInterval = Literal["hour", "day"]

_DUPLICATE_EVENT = re.compile("duplicate_meter_event|already exists with identifier")
"""Stripe's 400 for a known identifier. It is not documented which of the two texts the response contains."""
_PERMANENT_REJECTIONS = frozenset(
    {"timestamp_too_far_in_past", "meter_event_invalid_value", "meter_event_value_not_found"}
)
"""Rejections of this event itself. https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api"""
_METER_MISSING_CODES = frozenset({"no_meter", "archived_meter", "resource_missing"})
_STATUS_NOT_FOUND = 404


class MeterEventGateway(Protocol):
    """Meter events at Stripe. For the errors of all methods see `CustomerGateway`."""

    def send(self, customer_id: str, entry: SyncEntry) -> None:
        """Send a meter event. An event that Stripe already has counts as sent.

        Raises:
            RejectedByStripe: Stripe will never count this event, because its timestamp or value is invalid.
            UsageNotAccepted: Stripe rejected the event for another reason.
        """
        ...

    def sum_of(self, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime) -> int:
        """Return Stripe's sum of the meter in [start, end). It lags behind the accepted events."""
        ...

    def sums_by(
        self, step: SumInterval, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime
    ) -> Mapping[datetime, int]:
        """Return the nonzero sums by the start of each hour or UTC day. The range must be whole hours or days."""
        ...


class StripeMeterEventGateway(StripeGateway):
    """See `MeterEventGateway`."""

    def __init__(self, client: "StripeClient") -> None:
        super().__init__(client)
        self._meter_ids: dict[str, str] = {}

    def send(self, customer_id: str, entry: SyncEntry) -> None:
        """See `MeterEventGateway.send`."""
        event = {
            "event_name": entry.meter.event_name,
            "identifier": entry.identifier,
            "timestamp": to_epoch(entry.timestamp),
            "payload": {"stripe_customer_id": customer_id, "value": str(entry.quantity)},
        }
        try:
            with translate_errors():
                self._client.billing.meter_events.create(event)
        except RejectedByStripe as error:
            if _DUPLICATE_EVENT.search(str(error)):
                return
            if error.code in _PERMANENT_REJECTIONS:
                raise
            if error.status == _STATUS_NOT_FOUND or error.param == "event_name" or error.code in _METER_MISSING_CODES:
                raise catalog_missing(entry.meter.event_name) from error
            raise UsageNotAccepted(str(error)) from error
        except PaymentDeclined as error:
            raise UsageNotAccepted(str(error)) from error

    def sum_of(self, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime) -> int:
        """See `MeterEventGateway.sum_of`."""
        return sum(amount for _, amount in self._sums(customer_id, meter, start=start, end=end))

    def sums_by(
        self, step: SumInterval, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime
    ) -> dict[datetime, int]:
        """See `MeterEventGateway.sums_by`."""
        return dict(self._sums(customer_id, meter, start=start, end=end, value_grouping_window=step))

    def _sums(
        self, customer_id: str, meter: BilledMeter, *, start: datetime, end: datetime, **options: str
    ) -> list[tuple[datetime, int]]:
        query = {"customer": customer_id, "start_time": to_epoch(start), "end_time": to_epoch(end), "limit": 100}
        with translate_errors():
            summaries = self._client.billing.meters.event_summaries.list(self._meter_id(meter), {**query, **options})
            return [
                (from_epoch(summary.start_time), int(summary.aggregated_value))
                for summary in summaries.auto_paging_iter()
            ]

    def _meter_id(self, meter: BilledMeter) -> str:
        if meter.event_name not in self._meter_ids:
            self._meter_ids = meter_ids(self._client)
        if meter.event_name not in self._meter_ids:
            raise catalog_missing(meter.event_name)
        return self._meter_ids[meter.event_name]
