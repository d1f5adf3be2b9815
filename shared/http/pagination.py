"""Opaque page tokens, each good for one tenant, list and filter only.

A token holds the place to go on from, never a key: the keys are made anew from the caller's own tenant.
"""

import base64
import binascii
import hashlib
import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import Malformed
from shared.http.answers import Pagination


class PageQuery(BaseModel):
    """The query parameters of every list."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100)] = 25
    next_token: str | None = None
    nextToken: str | None = None  # noqa: N815 — the same, as the answer spells it

    @property
    def token(self) -> str | None:
        """The token, under whichever name it came."""
        return self.next_token or self.nextToken


def page_after(place: str | None, *scope: str) -> Pagination:
    """What the answer says of the next page.

    Args:
        place: the last entry of this page when there are more; None at the end.
        scope: the tenant, the list and its filters.
    """
    if place is None:
        return Pagination()
    text = json.dumps([_mark(scope), place])
    return Pagination(nextToken=base64.urlsafe_b64encode(text.encode()).decode().rstrip("="), hasMore=True)


def place_of(token: str | None, *scope: str) -> str | None:
    """The place that a token stands for.

    Raises:
        Malformed: it was not made by `page_after` for this scope.
    """
    if token is None:
        return None
    try:
        decoded = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _refusal() from error
    match decoded:
        case [str(mark), str(place)] if mark == _mark(scope):
            return place
        case _:
            raise _refusal()


def _mark(scope: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(scope).encode()).hexdigest()[:16]


def _refusal() -> Malformed:
    return Malformed("This next_token was not made for this list.")
