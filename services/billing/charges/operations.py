"""The charges of a tenant's current period."""

from dataclasses import dataclass
from datetime import datetime

from services.billing.catalog.domain import BilledMeter
from services.billing.charges.domain import Bill, calculate_bill, forecast_bill
from services.billing.customers.domain.customer import BillingMode, Customer
from services.billing.customers.domain.period import BillingPeriod, month_of
from services.billing.customers.operations import get_customer
from services.billing.usage_sync.domain import total_usage
from services.billing.usage_sync.table.entries import SyncLedger
from services.billing.usage_sync.table.usage import UsageTable
from shared.storage.store import Store


@dataclass(frozen=True, slots=True)
class PeriodCharges:
    """The charges of the current period."""

    customer: Customer
    period: BillingPeriod
    counted_until: datetime
    """The end of the newest counted hour."""
    so_far: Bill
    forecast: Bill


def get_charges(store: Store, tenant_id: str, *, now: datetime) -> PeriodCharges:
    """Return the charges of the current period so far, and their forecast at the same rate of usage."""
    customer = get_customer(store, tenant_id)
    period = _unbilled_period(customer) or month_of(now)
    usage = total_usage(UsageTable(store, tenant_id).between(period))
    quantities = usage.quantities
    if customer.billing is BillingMode.STRIPE:
        quantities = _booked_quantities(store, tenant_id, period)
    until = usage.counted_until or period.start
    return PeriodCharges(
        customer=customer,
        period=period,
        counted_until=until,
        so_far=calculate_bill(customer.plan, quantities),
        forecast=forecast_bill(customer.plan, quantities, period=period, counted_until=until),
    )


def _unbilled_period(customer: Customer) -> BillingPeriod | None:
    """Return the unbilled part of the subscription's period. A change of plan bills the usage until then."""
    subscription = customer.ongoing_subscription
    if subscription is None:
        return None
    return BillingPeriod(subscription.plan_changed_at or subscription.period.start, subscription.period.end)


def _booked_quantities(store: Store, tenant_id: str, period: BillingPeriod) -> dict[BilledMeter, int]:
    """Return the quantities of all entries with a timestamp in the period, including carried ones."""
    quantities: dict[BilledMeter, int] = {}
    for entry in SyncLedger(store, tenant_id).between(period):
        if entry.is_counted and period.start <= entry.timestamp < period.end:
            quantities[entry.meter] = quantities.get(entry.meter, 0) + entry.quantity
    return quantities
