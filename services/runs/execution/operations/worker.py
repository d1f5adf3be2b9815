"""A worker: it leases runs and executes them, see `execution.py`."""

from dataclasses import dataclass
from datetime import timedelta

from services.runs.errors import LeaseLost
from services.runs.execution.domain.retry import MAX_ATTEMPT_S
from services.runs.execution.operations.dependencies import WorkerDependencies
from services.runs.execution.operations.execution import Execution
from services.runs.execution.operations.reporting import report_start
from shared.deadline import bounded_s
from shared.observability import in_trace, logger
from shared.storage.items import Item


@dataclass(frozen=True, slots=True)
class Worker(WorkerDependencies):
    """A worker of one tenant, with its dependencies."""

    def execute(self, run_id: str) -> Item | None:
        """Lease a queued run and execute it; do nothing if the run is leased, has ended or waits for a slot.

        Returns:
            The run's item as it was last written; None if the worker does not have the run.
        """
        item = self.runs.acquire_lease(run_id, now=self.clock(), lease_id=self.new_lease_id())
        return self._execute_leased(item) if item else None

    def _execute_leased(self, item: Item) -> Item | None:
        run = self.runs.state(item)
        with in_trace(run.trace_id):
            report_start(run, now=self.clock())
            gives_up_at = self.clock() + timedelta(seconds=bounded_s(MAX_ATTEMPT_S))
            try:
                return Execution(self, run, item, gives_up_at=gives_up_at).work()
            except LeaseLost:
                logger.warning("another attempt has the run", run_id=run.run_id, attempt=run.attempt)
                return None
