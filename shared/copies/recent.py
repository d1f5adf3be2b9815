"""Statuses of tenants that were read a moment ago, for callers where a read per message would cost too much."""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.tenancy.context import TenantAccess

CACHE_LIFETIME = timedelta(seconds=1)


class RecentStatuses:
    """Cached statuses of tenants, at most one second old; the event of a change takes about as long to arrive.

    Args:
        read: reads the copy of a tenant.
        clock: returns the time.
    """

    def __init__(self, read: Callable[[str], TenantAccess], *, clock: Callable[[], datetime]) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[str, tuple[str, datetime]] = {}

    def of(self, tenant_id: str) -> str:
        """Return the status of a tenant.

        Raises:
            DependencyUnavailable: the copy cannot be read, or has not arrived.
        """
        now = self._clock()
        known = self._known.get(tenant_id)
        if known is None or known[1] <= now:
            self._known = {name: entry for name, entry in list(self._known.items()) if entry[1] > now}
            known = (self._read(tenant_id).status, now + CACHE_LIFETIME)
            self._known[tenant_id] = known
        return known[0]
