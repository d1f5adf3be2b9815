"""Extension of a run's lease while its call is under way, even while the provider is silent."""

import contextvars
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from services.runs.errors import CancelRequested, LeaseLost
from shared.errors import DependencyUnavailable
from shared.observability import logger

_EXTENSION_INTERVAL_S = 10.0
"""A lease lasts 30 s, so one extension may fail."""


class Lease:
    """The lease of a run, extended periodically within the `with` block.

    Args:
        extend: extends the lease and returns whether the client has cancelled; raises LeaseLost.
        every_s: the interval of the extensions.
    """

    def __init__(self, extend: Callable[[], bool], *, every_s: float = _EXTENSION_INTERVAL_S) -> None:
        self._extend = extend
        self._every_s = every_s
        self._over = threading.Event()
        self._refusal: Exception | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=lambda: context.run(self._extend_until_over), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Check the last extension; to be called for each part of a stream.

        Raises:
            LeaseLost: another attempt has the run.
            CancelRequested: the client has cancelled it.
        """
        if self._refusal:
            raise self._refusal

    def _extend_until_over(self) -> None:
        while self._refusal is None and not self._over.wait(self._every_s):
            try:
                if self._extend():
                    self._refusal = CancelRequested()
            except LeaseLost as lost:
                self._refusal = lost
            except DependencyUnavailable:
                logger.warning("a lease could not be extended")
