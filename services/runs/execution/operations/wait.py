"""Waited runs: a worker is invoked directly, without the queue, and returns the run at its end."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.runs.errors import CancelRequested, LeaseLost, WorkerNotReached
from services.runs.execution.gateway import Workers
from services.runs.runs.domain import lifecycle
from services.runs.runs.domain.run import Run
from services.runs.runs.table.runs import RunTable
from shared.deadline import bounded_s
from shared.errors import DependencyUnavailable
from shared.observability import logger

_MIN_PAUSE_S, _MAX_PAUSE_S = 0.1, 1.0
_MIN_WAIT_S = 2
"""Below this number of seconds no worker is invoked: the client would not receive the end."""


@dataclass(frozen=True, slots=True)
class RunWaiter:
    """The wait for a run, with its dependencies."""

    workers: Workers
    runs: RunTable
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]

    def execute_and_wait(self, run: Run, *, wait_s: int) -> Run:
        """Let a worker execute a new run; return the run at its end, or as it is when the wait is over.

        A run that waits for a slot, or for which no worker can be reached, is executed through the queue and waited
        for all the same. The run is stored already, so an outage ends the wait without an error.
        """
        until = self.monotonic() + bounded_s(wait_s)
        try:
            return self._execute(run, until=until)
        except DependencyUnavailable:
            logger.warning("a run cannot be read while a client waits for it", run_id=run.run_id)
            return run

    def wait(self, run: Run, *, wait_s: int) -> Run:
        """Wait for a run that is executed through the queue; return it as it is at its end or when the wait is over.

        The run's change is stored already, so an outage ends the wait without an error.
        """
        try:
            return self._poll(run, until=self.monotonic() + bounded_s(wait_s))
        except DependencyUnavailable:
            logger.warning("a run cannot be read while a client waits for it", run_id=run.run_id)
            return run

    def _execute(self, run: Run, *, until: float) -> Run:
        if run.waits_for_slot:
            return self._poll(run, until=until)
        left_s = math.ceil(until - self.monotonic())
        if left_s < _MIN_WAIT_S:
            return self._move_to_queue(run)
        try:
            written = self.workers.execute(run.tenant_id, run.run_id, wait_s=left_s)
        except WorkerNotReached:
            return self._poll(self._move_to_queue(run), until=until)
        if written is None:
            return self._poll(run, until=until)
        return self.runs.written(run.run_id, written)

    def _poll(self, run: Run, *, until: float) -> Run:
        """Read the run until it has ended or needs its client, or the wait is over."""
        pause_s = _MIN_PAUSE_S
        while True:
            run = self.runs.get(run.run_id, known=run)
            left_s = until - self.monotonic()
            if not run.status.is_under_way or left_s <= 0:
                return run
            self.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    def _move_to_queue(self, run: Run) -> Run:
        after, events = lifecycle.publish(run, now=self.clock())
        try:
            self.runs.save(run, after, events)
        except (LeaseLost, CancelRequested):
            return run
        return after
