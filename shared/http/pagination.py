"""Page tokens, each good for one tenant, list and filter only.

A token is signed with no key, so anyone can forge one: each list validates the decoded place against its own form.
"""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import Malformed
from shared.http.answers import Pagination
from shared.http.token import seal, unseal


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
    return Pagination() if place is None else Pagination(nextToken=seal(place, *scope), hasMore=True)


def place_of(token: str | None, *scope: str, form: str) -> str | None:
    """Return the place that a token stands for; None without a token.

    Args:
        token: as the client sent it.
        scope: as given to `page_after`.
        form: the regular expression that matches every place of this list in full, and nothing that the table refuses.

    Raises:
        Malformed: it was not made by `page_after` for this scope, or holds another kind of place.
    """
    if token is None:
        return None
    place = unseal(token, *scope)
    if place is None or not re.fullmatch(form, place):
        msg = "This next_token was not made for this list."
        raise Malformed(msg)
    return place
