"""Statuses of tenants that were read a moment ago, where a read for each message would cost too much."""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.tenancy.context import TenantAccess

KEPT = timedelta(seconds=1)


class RecentStatuses:
    """The statuses of tenants, at most a second old; an event that changes one takes about as long.

    Args:
        read: reads the copy of a tenant.
        clock: gives the time.
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
            known = (self._read(tenant_id).status, now + KEPT)
            self._known[tenant_id] = known
        return known[0]
