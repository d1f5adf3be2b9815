"""Which function answers which request of the API."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from infra.local.stripe.errors import refuse
from infra.local.stripe.form import Params
from infra.local.stripe.rendering import render
from infra.local.stripe.store import Json
from infra.local.stripe.world import World

_MOST = 100


@dataclass(frozen=True)
class Call:
    """One request of the API."""

    world: World
    params: Params
    path: dict[str, str] = field(default_factory=dict[str, str])
    """The parts of the address that the route names."""


Answerer = Callable[[Call], Json]


@dataclass
class Routes:
    """The requests that a module answers."""

    known: list[tuple[str, re.Pattern[str], Answerer]] = field(
        default_factory=list[tuple[str, re.Pattern[str], Answerer]]
    )

    def get(self, path: str) -> Callable[[Answerer], Answerer]:
        """Answer a GET."""
        return self._route("GET", path)

    def post(self, path: str) -> Callable[[Answerer], Answerer]:
        """Answer a POST."""
        return self._route("POST", path)

    def delete(self, path: str) -> Callable[[Answerer], Answerer]:
        """Answer a DELETE."""
        return self._route("DELETE", path)

    def find(self, method: str, path: str) -> tuple[Answerer, dict[str, str]] | None:
        """Who answers a request, and the parts of its address."""
        for known, pattern, answerer in self.known:
            matched = pattern.fullmatch(path)
            if known == method and matched:
                return answerer, matched.groupdict()
        return None

    def _route(self, method: str, path: str) -> Callable[[Answerer], Answerer]:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def register(answerer: Answerer) -> Answerer:
            self.known.append((method, pattern, answerer))
            return answerer

        return register


def listed(call: Call, things: list[Json], *, url: str) -> Json:
    """A page of a list, newest first, as `limit`, `starting_after` and `ending_before` ask.

    Raises:
        StripeError: the limit is out of bounds, or the cursor is unknown.
    """
    limit = call.params.integer("limit")
    limit = 10 if limit is None else limit
    if not 1 <= limit <= _MOST:
        refuse(f"This value must be from 1 to {_MOST}.", param="limit")
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


def matching(things: list[Json], **wanted: object) -> list[Json]:
    """Those whose fields have these values; None matches everything."""
    given = {name: value for name, value in wanted.items() if value is not None}
    return [one for one in things if all(one.get(name) == value for name, value in given.items())]


def merged(metadata: Json, changes: dict[str, str]) -> Json:
    """Metadata with changes; an empty value removes a key."""
    return {name: value for name, value in {**metadata, **changes}.items() if value != ""}
