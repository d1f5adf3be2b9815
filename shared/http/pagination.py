"""Page tokens, each valid for one tenant, list and filter.

Tokens are not signed, so anyone can forge one: each list validates the decoded position against its own pattern.
"""

import re
from typing import Annotated

from pydantic import ConfigDict, Field

from shared.errors import Malformed
from shared.http.responses import Pagination
from shared.http.token import seal, unseal
from shared.schema import DocumentedModel


class PageQuery(DocumentedModel):
    """The query parameters of every list."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=100)] = 25
    next_token: str | None = None
    nextToken: str | None = None  # noqa: N815 — the same, in the spelling of responses

    @property
    def token(self) -> str | None:
        """The token, from either parameter."""
        return self.next_token or self.nextToken


def page_after(place: str | None, *scope: str) -> Pagination:
    """Return the pagination of a response.

    Args:
        place: the position of the last entry of this page if more follow; None on the last page.
        scope: the tenant, the list and its filters.
    """
    return Pagination() if place is None else Pagination(nextToken=seal(place, *scope), hasMore=True)


def cursor_of(token: str | None, *scope: str, form: str) -> str | None:
    """Return the position in a token; None without a token.

    Args:
        token: the token that the client sent.
        scope: the scope that was given to `page_after`.
        form: a regular expression that matches every position of this list in full, and nothing that the table refuses.

    Raises:
        Malformed: the token was not made by `page_after` for this scope, or its position does not match.
    """
    if token is None:
        return None
    place = unseal(token, *scope)
    if place is None or not re.fullmatch(form, place):
        msg = "This next_token is invalid for this list. Start again without it."
        raise Malformed(msg)
    return place
