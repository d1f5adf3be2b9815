"""Items that a request is about to need, read together before it begins.

Each answers one read: a second read of the same item has to see later changes.
"""

from shared.scope import Opened, Prefetched, current, narrowed
from shared.storage.items import Key, Value

TableKey = tuple[str, Key]
"""A table's name and a key in it."""


def known(items: Prefetched) -> Opened:
    """Serve the first read of each key in this block from these items."""
    return narrowed(prefetched=items)


def pop(place: TableKey) -> tuple[dict[str, Value] | None] | None:
    """Return the prefetched item of a place and forget it; None if nothing was prefetched, or it was taken before."""
    items = current().prefetched
    return (items.pop(place),) if items and place in items else None
