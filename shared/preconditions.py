"""`ETag` and `If-Match`: the version of a resource is its `seq` in quotes (RFC 9110, 8.8.3 and 13.1.1)."""

from shared.errors import PreconditionFailed


def check_if_match(if_match: str | None, seq: int) -> None:
    """Check that the caller has read the current version.

    Raises:
        PreconditionFailed: `If-Match` names another version.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if f'"{seq}"' not in {tag.strip() for tag in if_match.split(",")}:
        msg = "The resource has changed since you read it."
        raise PreconditionFailed(msg)
