"""Partitions of one tenant in a slice, through which its rows are found without a scan of the table."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.storage.items import Item, Key
from shared.storage.store import Store


@dataclass(frozen=True, slots=True)
class TenantPartitions:
    """The partitions of a tenant in a slice.

    The partitions that every slice may have (its own, idempotency records, inbox marks) are not named here. The outbox
    is not part of them, because its events are still to be published.
    """

    lists: tuple[str, ...] = ()
    """Partitions of the `list` index (`LIST` for `TENANT#<t>#RUNS#LIST`). Their rows are in partitions of their own."""
    partitions: Callable[[str, datetime], Iterable[str]] = lambda _tenant, _now: ()
    """The full keys of further partitions of a tenant at this time."""
    adjacent: Callable[[Item], Iterable[Key]] = lambda _: ()
    """The keys of further rows that belong to a listed row. They are in its partition."""
    named: Callable[[Store, str, datetime], Iterable[str]] = lambda _store, _tenant, _now: ()
    """Partitions that other rows name, followed by those of these rows, so that an interrupted removal finds them."""
    retained: tuple[str, ...] = ()
    """Sort key prefixes of rows in the slice's own partition that must be retained by law."""
