"""Lists of one partition, newest first: sort keys end in an id that sorts by time."""

from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.transaction import Expression


def newest_first(
    store: Store, *, pk: str, prefix: str, limit: int, after: str | None
) -> tuple[list[dict[str, Value]], str | None]:
    """One page of the items whose sort key begins with `prefix`.

    Args:
        store: the slice.
        pk: the partition.
        prefix: of the sort keys.
        limit: how many at most.
        after: the place that the last page ended at.

    Returns:
        The items, and the place that this page ends at, or None when nothing comes after it.
    """
    condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": pk, "prefix": prefix})
    start = {"PK": pk, "SK": prefix + after} if after else None
    # One more than asked for tells whether there is another page.
    found = store.query(condition, newest_first=True, limit=limit + 1, resume_after=start)
    page = found.items[:limit]
    # A query also stops at 1 MB, before it has as many as were asked for.
    if not page or (len(found.items) <= limit and found.resume_after is None):
        return page, None
    return page, str(page[-1]["SK"]).removeprefix(prefix)
