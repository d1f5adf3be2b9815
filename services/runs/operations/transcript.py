"""Writing an answer's text down while it comes, so that others can follow."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from services.runs.domain.run import Run
from services.runs.domain.story import Place
from shared.errors import DependencyUnavailable
from shared.observability import logger

FLUSH = timedelta(milliseconds=500)
"""How often, at most, text is written: one write each, by which the worker also hears of a cancellation."""

LISTEN = timedelta(seconds=1)
"""How often, at most, it is asked for a cancellation while something else than text comes."""

_LONGEST = 64 * 1024
"""Characters of one piece: in UTF-8 they take 256 KB at most, of the 400 KB that an item may have. More comes later."""


class Texts(Protocol):
    """Where texts are written."""

    def append(self, run: Run, place: Place, text: str, *, now: datetime) -> Place:
        """Write the next piece; gives the place behind what is written."""
        ...

    def check(self, run: Run, place: Place) -> None:
        """Learn of a cancellation without writing."""
        ...


class Transcript:
    """The text of one call.

    The end of a text is not written here: it comes with the end of the call.

    Args:
        texts: the table.
        run: with the call open.
        call: its number.
        clock: gives the time.
    """

    def __init__(self, texts: Texts, run: Run, *, call: int, clock: Callable[[], datetime]) -> None:
        self._texts = texts
        self._run = run
        self._clock = clock
        self._place = Place(run.attempt, call)
        self._unwritten = ""
        self._written_at = clock()

    def add(self, text: str) -> None:
        """The next piece of the text, as the model gives it.

        Raises:
            CancelRequested: the client does not want the rest.
        """
        self._unwritten += text
        now = self._clock()
        if self._unwritten and now - self._written_at >= FLUSH:
            self._written_at = now
            self._write(now)

    def listen(self) -> None:
        """Something else comes than text, which is no reason to write.

        Raises:
            CancelRequested: the client does not want the rest.
        """
        now = self._clock()
        if now - self._written_at < LISTEN:
            return
        self._written_at = now
        if self._unwritten:
            self._write(now)
            return
        try:
            self._texts.check(self._run, self._place)
        except DependencyUnavailable:
            logger.warning("nobody knows whether the client has cancelled", run_id=self._run.run_id)

    def _write(self, now: datetime) -> None:
        try:
            reached = self._texts.append(self._run, self._place, self._unwritten[:_LONGEST], now=now)
        except DependencyUnavailable:
            # Those who follow wait a little longer; the next write holds it all.
            logger.warning("text could not be written", run_id=self._run.run_id)
            return
        self._unwritten = self._unwritten[reached.offset - self._place.offset :]
        self._place = reached
