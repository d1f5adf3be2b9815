"""The routes of the API and their functions."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.stripe.errors import refuse
from sandbox.stripe.form import Params
from sandbox.stripe.rendering import render
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

_MAX_LIMIT = 100


@dataclass(frozen=True)
class StripeCall:
    """A request for a route."""

    world: StripeWorld
    params: Params
    path: dict[str, str] = field(default_factory=dict[str, str])
    """The path parameters."""


Handler = Callable[[StripeCall], Json]


@dataclass
class Routes:
    """The routes of a module."""

    entries: list[tuple[str, re.Pattern[str], Handler]] = field(
        default_factory=list[tuple[str, re.Pattern[str], Handler]]
    )

    def get(self, path: str) -> Callable[[Handler], Handler]:
        """Register a GET route."""
        return self._route("GET", path)

    def post(self, path: str) -> Callable[[Handler], Handler]:
        """Register a POST route."""
        return self._route("POST", path)

    def delete(self, path: str) -> Callable[[Handler], Handler]:
        """Register a DELETE route."""
        return self._route("DELETE", path)

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """Return the function for a request and its path parameters."""
        for route_method, pattern, handler in self.entries:
            matched = pattern.fullmatch(path)
            if route_method == method and matched:
                return handler, matched.groupdict()
        return None

    def _route(self, method: str, path: str) -> Callable[[Handler], Handler]:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def register(handler: Handler) -> Handler:
            self.entries.append((method, pattern, handler))
            return handler

        return register


def list_page(call: StripeCall, things: list[Json], *, url: str) -> Json:
    """Return a page of a list, newest first, as `limit`, `starting_after` and `ending_before` request.

    Raises:
        StripeError: the limit is out of bounds, or the cursor is unknown.
    """
    limit = call.params.integer("limit")
    limit = 10 if limit is None else limit
    if not 1 <= limit <= _MAX_LIMIT:
        refuse(f"This value must be from 1 to {_MAX_LIMIT}.", param="limit")
    after, before = call.params.text("starting_after"), call.params.text("ending_before")
    if after:
        things = things[_index(things, after) + 1 :]
    elif before:
        things = things[: _index(things, before)][-limit:]
    page = [render(one) for one in things[:limit]]
    return {"object": "list", "data": page, "has_more": len(things) > limit, "url": url}


def _index(things: list[Json], name: str) -> int:
    names = [one["id"] for one in things]
    if name not in names:
        refuse(f"No such object: '{name}'", param="starting_after")
    return names.index(name)


def matching(things: list[Json], **fields: object) -> list[Json]:
    """Return the objects whose fields have these values. None matches everything."""
    expected = {name: value for name, value in fields.items() if value is not None}
    return [one for one in things if all(one.get(name) == value for name, value in expected.items())]


def merged(metadata: Json, changes: dict[str, str]) -> Json:
    """Merge changes into metadata. An empty value removes a key."""
    return {name: value for name, value in {**metadata, **changes}.items() if value != ""}
