"""Items that a request is going to need, read together before it begins.

Each is good for one reading: whoever reads it again wants to see what has changed meanwhile.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.storage.items import Key, Value

Place = tuple[str, Key]
"""A table's name, and a key in it."""
Read = dict[Place, dict[str, Value] | None]
"""The items that lie there; None: there is none."""

_read: ContextVar[Read | None] = ContextVar("read", default=None)


@contextmanager
def known(read: Read) -> Generator[None]:
    """In this block, the first reading of each of these places is answered from here."""
    token = _read.set(read)
    try:
        yield
    finally:
        _read.reset(token)


def take(place: Place) -> tuple[dict[str, Value] | None] | None:
    """What was read ahead of this place; None when it was not, or was taken before."""
    read = _read.get()
    return (read.pop(place),) if read and place in read else None
