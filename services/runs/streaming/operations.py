"""Streaming of a run: the events after a cursor, as soon as there are any."""

from collections.abc import Iterable
from itertools import chain

from services.runs.runs.domain.run import Run
from services.runs.runs.table.runs import RunTable
from services.runs.streaming.domain import StreamCursor, StreamEvent, events_after, open_text


def stream_events(runs: RunTable, run_id: str, cursor: StreamCursor, *, pauses: Iterable[object]) -> list[StreamEvent]:
    """Return the events after the cursor.

    Args:
        runs: the table.
        run_id: the run.
        cursor: the client's position.
        pauses: an iterator that waits between two reads, while there are no events.

    Returns:
        No events if the cursor is at the end, or the pauses are over.

    Raises:
        RunNotFound: the run does not exist.
    """
    run: Run | None = None
    for _ in chain((None,), pauses):
        run = runs.get(run_id, known=run)
        events = events_after(run, cursor, _pieces(runs, run, cursor))
        if events or cursor.ended:
            return events
    return []


def _pieces(runs: RunTable, run: Run, cursor: StreamCursor) -> list[str]:
    position = open_text(run, cursor)
    return runs.texts.pieces(run, position) if position else []
