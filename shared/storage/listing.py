"""Lists of one partition, newest first: sort keys end in an id that sorts by time.

The items of a page come from one query, which reads at most 1 MB of them. A list whose items are read one by one bounds
its pages by `MAX_PAGE_BYTES`.
"""

from shared.storage.items import Value
from shared.storage.store import Store
from shared.storage.transaction import Expression

MAX_PAGE_BYTES = 2 * 1024 * 1024
"""Of the entries of one page as JSON. Lambda's limit for a response is 6 MB, in which each quote and each backslash
takes two bytes."""


def newest_first(
    store: Store, *, pk: str, prefix: str, limit: int, after: str | None
) -> tuple[list[dict[str, Value]], str | None]:
    """Return one page of the items whose sort key begins with `prefix`.

    Args:
        store: the slice.
        pk: the partition key.
        prefix: the prefix of the sort keys.
        limit: the maximum number of items.
        after: the position at which the previous page ended.

    Returns:
        The items, and the position at which this page ends, or None if no items follow.
    """
    condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": pk, "prefix": prefix})
    start = {"PK": pk, "SK": prefix + after} if after else None
    # One item more than requested shows whether there is another page.
    found = store.query(condition, newest_first=True, limit=limit + 1, resume_after=start)
    page = found.items[:limit]
    # A query also stops at 1 MB, possibly before it reaches the limit.
    if not page or (len(found.items) <= limit and found.resume_after is None):
        return page, None
    return page, str(page[-1]["SK"]).removeprefix(prefix)
