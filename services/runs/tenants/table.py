"""Tenants that are being deleted, until their runs have ended."""

from collections.abc import Mapping

from services.runs.partitions import SLICE
from services.runs.tenants.domain import RunStop
from shared.events.envelope import Event
from shared.events.runs import TenantRunsStopped
from shared.storage.codec import Codec
from shared.storage.due import DueIndex
from shared.storage.items import Value
from shared.storage.table import TenantTable
from shared.storage.transaction import PRESENT

STOPS = DueIndex(SLICE, "STOPPING")
"""By the time at which the reaper checks the runs of the tenant."""


class StopTable(TenantTable[RunStop]):
    """The stop of one tenant; none is found if its runs need not end or have ended."""

    prefix = "STOPPING"
    codec = Codec(RunStop)

    def indexed(self, record: RunStop) -> Mapping[str, Value]:
        """Return the place in the queue of all stops."""
        return STOPS.place(record.since, self.tenant_id)

    def begin(self, stop: RunStop) -> None:
        """Store the stop, once."""
        transaction = self.transaction()
        self.add(transaction, stop)
        self.store.try_commit(transaction)

    def end(self, stopped: Event[TenantRunsStopped]) -> None:
        """Delete the stop and publish the event that all runs have ended, once."""
        transaction = self.transaction()
        transaction.delete(self.key(), when=PRESENT)
        transaction.emit(stopped)
        self.store.try_commit(transaction)

    def set_checked_to(self, run_id: str) -> None:
        """Record how far the stop has come; see `RunStop.checked_to`."""
        self.store.try_update(self.key(), self.setting(checked_to=run_id), when=PRESENT)
