"""Where the rows of one tenant are found in a slice, without reading the whole table."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.storage.store import Store


@dataclass(frozen=True, slots=True)
class Traces:
    """Where the rows of a tenant are found in a slice.

    The partitions that every slice may have (its own, idempotency records, inbox marks) need not be named. What waits
    in the outbox is still to be said.
    """

    lists: tuple[str, ...] = ()
    """Partitions of the `list` index (`LIST` for `TENANT#<t>#RUNS#LIST`): they name rows in partitions of their own."""
    partitions: Callable[[str, datetime], Iterable[str]] = lambda _tenant, _now: ()
    """Further partitions of a tenant at a moment, by their whole keys."""
    named: Callable[[Store, str, datetime], Iterable[str]] = lambda _store, _tenant, _now: ()
    """Partitions that rows name, and last those of these rows: cut off, a removal finds them again."""
    keeps: tuple[str, ...] = ()
    """Beginnings of sort keys in the slice's own partition that stay: what the law wants kept."""
