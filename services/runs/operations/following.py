"""Following a run: what is new since a cursor, as soon as there is any."""

from collections.abc import Iterable
from itertools import chain

from services.runs.domain.run import Run
from services.runs.domain.story import Cursor, Told, open_text, tell
from services.runs.table.runs import RunTable


def follow(runs: RunTable, tenant_id: str, run_id: str, cursor: Cursor, *, pauses: Iterable[object]) -> list[Told]:
    """What the follower has not heard yet.

    Args:
        runs: the table.
        tenant_id: whose run it is.
        run_id: which one.
        cursor: what was heard.
        pauses: between one look and the next, while nothing is there to tell.

    Returns:
        Nothing when the story is heard to its end, or the pauses are over.

    Raises:
        RunNotFound: there is no such run.
    """
    run: Run | None = None
    for _ in chain((None,), pauses):
        run = runs.get(tenant_id, run_id, known=run)
        told = tell(run, cursor, _pieces(runs, run, cursor))
        if told or cursor.ended:
            return told
    return []


def _pieces(runs: RunTable, run: Run, cursor: Cursor) -> list[str]:
    place = open_text(run, cursor)
    return runs.texts.pieces(run, place) if place else []
