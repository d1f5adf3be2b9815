"""Keeping a run while its call is under way: the lease is extended, and a cancellation is heard."""

import contextvars
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from services.runs.domain.run import Run
from services.runs.errors import CancelRequested, LeaseLost
from services.runs.table.runs import RunTable
from shared.errors import DependencyUnavailable
from shared.observability import logger

FLUSH = timedelta(milliseconds=500)
"""How often, at most, a streaming answer extends its lease and looks for a cancellation."""
_SILENT_S = 10.0
"""How often a lease is extended while the provider says nothing."""


class Lease:
    """Extends a run's lease while the block runs.

    Args:
        runs: the table.
        run: that is leased.
        clock: gives the time.
        silent_s: how often it is extended while nothing streams.
    """

    def __init__(self, runs: RunTable, run: Run, *, clock: Callable[[], datetime], silent_s: float = _SILENT_S) -> None:
        self._runs = runs
        self._run = run
        self._clock = clock
        self._silent_s = silent_s
        self._extended_at = clock()
        self._over = threading.Event()
        self._lost: Exception | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=lambda: context.run(self._keep), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def beat(self) -> None:
        """To be called whenever something streams.

        Raises:
            LeaseLost: another attempt has the run.
            CancelRequested: the client has cancelled it.
        """
        if self._lost is None and self._clock() - self._extended_at >= FLUSH:
            self._extend()
        if self._lost:
            raise self._lost

    def _keep(self) -> None:
        while not self._over.wait(self._silent_s) and self._lost is None:
            self._extend()

    def _extend(self) -> None:
        self._extended_at = self._clock()
        try:
            if self._runs.extend(self._run, now=self._extended_at):
                self._lost = CancelRequested()
        except LeaseLost as lost:
            self._lost = lost
        except DependencyUnavailable:
            # The lease lasts for several beats; the next one may go through.
            logger.warning("a lease could not be extended", run_id=self._run.run_id)
