"""Reading the dashboard."""

from datetime import UTC, datetime

from services.metering.counters.domain.days import Days, UsagePeriod, month_of
from services.metering.dashboard import domain
from services.metering.dashboard.domain import DashboardData
from services.metering.run_statistics.table import RunStatisticsTable
from services.metering.usage import operations as usage
from services.metering.usage.domain import GroupBy
from shared.storage.store import Store


def dashboard_of(store: Store, tenant_id: str, days: Days, *, now: datetime) -> DashboardData:
    """Return the tenant's dashboard of these days, which is read from counters only.

    Raises:
        InvalidRange: the days have too many rows.
        HoursClosing: hours were closed during every attempt to read usage.
    """
    month = month_of(now.astimezone(UTC).date())
    return domain.dashboard_of(
        days,
        # Read by month, because a whole month has no more rows than a day.
        usage.read_usage(store, tenant_id, days, period=UsagePeriod.MONTH, group_by=GroupBy.AGENT),
        usage.limit_rows(RunStatisticsTable(store, tenant_id).read(days)),
        month_so_far=usage.month_so_far(store, tenant_id, month),
        now=now,
    )
