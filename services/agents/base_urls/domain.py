"""The servers that a config or a provider key may name."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, AnyUrl, Field, TypeAdapter

from services.agents.errors import BaseUrlNotAllowed

_NOT_ALLOWED = "must be an https address without a user or password"
_URL = TypeAdapter(AnyUrl)


def _is_base_url(text: str) -> str:
    """Accept an absolute http or https URL without a user or password.

    `BaseUrlPolicy` restricts it further, and the workers check the destination before each call.
    """
    url = _URL.validate_python(text)
    if not re.fullmatch(r"https?://[^/\s]\S*", text) or url.username or url.password:
        raise ValueError(_NOT_ALLOWED)
    return text


BaseUrl = Annotated[str, Field(max_length=2_000), AfterValidator(_is_base_url)]
"""The URL of a server that implements a provider's API."""


@dataclass(frozen=True, slots=True)
class BaseUrlPolicy:
    """The rule for the servers that a config or key may name. The workers check the destination again before each call.

    Args:
        allow_private: whether plain http is allowed, as on a developer's machine.
    """

    allow_private: bool = False

    def allows(self, base_url: str | None) -> bool:
        """Return whether a config or key may name this server. None is the provider's own server."""
        return base_url is None or self.allow_private or base_url.startswith("https://")

    def check(self, base_url: str | None, *, field: str) -> None:
        """Check that a config or key may name this server.

        Args:
            base_url: the server. None is the provider's own server.
            field: the path of the field in the request.

        Raises:
            BaseUrlNotAllowed: the server is not allowed in this environment.
        """
        if not self.allows(base_url):
            raise BaseUrlNotAllowed(field, _NOT_ALLOWED)


HTTPS_ONLY = BaseUrlPolicy()
