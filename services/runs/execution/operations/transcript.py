"""Storage of an answer's text while it streams, so that clients can follow it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import Run
from shared.errors import DependencyUnavailable
from shared.observability import logger

FLUSH_INTERVAL = timedelta(milliseconds=500)
"""The minimum time between two writes. By each write the worker also detects a cancellation."""

CANCELLATION_POLL_INTERVAL = timedelta(seconds=1)
"""The minimum time between two checks for a cancellation, while parts other than text arrive."""

_MAX_PIECE_CHARS = 64 * 1024
"""The maximum length of one piece, in characters: 256 KB in UTF-8, of the 400 KB of an item. The rest is written
later."""


class TextLog(Protocol):
    """The table of texts."""

    def append(self, run: Run, position: TextPosition, text: str, *, now: datetime) -> TextPosition:
        """Store the next piece; return the position after the stored text."""
        ...

    def check(self, run: Run, position: TextPosition) -> None:
        """Check for a cancellation without writing."""
        ...


class Transcript:
    """The text of one call.

    The remaining text at the end is not written here: the end of the call contains it.

    Args:
        texts: the table.
        run: the run, with the call open.
        call: the number of the call.
        clock: returns the time.
    """

    def __init__(self, texts: TextLog, run: Run, *, call: int, clock: Callable[[], datetime]) -> None:
        self._texts = texts
        self._run = run
        self._clock = clock
        self._position = TextPosition(run.attempt, call)
        self._unwritten = ""
        self._written_at = clock()

    def add(self, text: str) -> None:
        """Add the next piece of the text.

        Raises:
            CancelRequested: the client has cancelled.
        """
        self._unwritten += text
        now = self._clock()
        if self._unwritten and now - self._written_at >= FLUSH_INTERVAL:
            self._written_at = now
            self._write(now)

    def poll_cancellation(self) -> None:
        """Check for a cancellation when a part other than text arrives.

        Raises:
            CancelRequested: the client has cancelled.
        """
        now = self._clock()
        if now - self._written_at < CANCELLATION_POLL_INTERVAL:
            return
        self._written_at = now
        if self._unwritten:
            self._write(now)
            return
        try:
            self._texts.check(self._run, self._position)
        except DependencyUnavailable:
            logger.warning("cancellation could not be checked", run_id=self._run.run_id)

    def _write(self, now: datetime) -> None:
        try:
            reached = self._texts.append(self._run, self._position, self._unwritten[:_MAX_PIECE_CHARS], now=now)
        except DependencyUnavailable:
            # Clients wait a little longer; the next write contains this text too.
            logger.warning("text could not be written", run_id=self._run.run_id)
            return
        self._unwritten = self._unwritten[reached.offset - self._position.offset :]
        self._position = reached
