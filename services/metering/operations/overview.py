"""Reading what a dashboard shows."""

from datetime import UTC, datetime

from services.metering.domain import dashboard, periods
from services.metering.domain.dashboard import Dashboard
from services.metering.domain.periods import Days, GroupBy, Period
from services.metering.operations import reading
from services.metering.table import endings
from shared.storage.store import Store


def dashboard_of(store: Store, tenant_id: str, days: Days, *, now: datetime) -> Dashboard:
    """The tenant's dashboard of these days, from counters alone.

    Raises:
        BadRange: the days have too many rows.
        BusyClosing: hours were closed each time that usage was read.
    """
    month = periods.month_of(now.astimezone(UTC).date())
    return dashboard.dashboard_of(
        days,
        # By month: a whole month has as few rows as a day.
        reading.usage_of(store, tenant_id, days, period=Period.MONTH, group_by=GroupBy.AGENT),
        reading.limited(endings.read_endings(store, tenant_id, days)),
        month_so_far=reading.month_so_far(store, tenant_id, month),
        now=now,
    )
