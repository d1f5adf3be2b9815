"""Objects in the wire format: without internal fields, and expanded on request."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from sandbox.stripe.errors import refuse
from sandbox.stripe.store import Json

_MAX_LINES = 10


def render(thing: Json) -> Json:
    """Return an object in Stripe's wire format."""
    rendered = cast("Json", _public(thing))
    if thing.get("object") == "invoice" and "_lines" in thing:
        rendered["lines"] = lines_of(thing)
    return rendered


def lines_of(invoice: Json) -> Json:
    """Return the first lines of an invoice; the rest has a list of its own."""
    every: list[Json] = invoice["_lines"]
    return {
        "object": "list",
        "data": [_public(line) for line in every[:_MAX_LINES]],
        "has_more": len(every) > _MAX_LINES,
        "url": f"/v1/invoices/{invoice['id']}/lines",
    }


def expand(response: Json, paths: Sequence[str], find: Callable[[str], Json | None]) -> Json:
    """Replace the ids at these paths of a response with their objects.

    Raises:
        StripeError: a path does not exist.
    """
    for path in paths:
        _expand(response, path.split("."), find, path=path)
    return response


def _expand(here: object, parts: list[str], find: Callable[[str], Json | None], *, path: str) -> None:
    if isinstance(here, list):
        for one in cast("list[object]", here):
            _expand(one, parts, find, path=path)
        return
    if not isinstance(here, dict):
        return
    inside = cast("dict[str, Any]", here)
    name, rest = parts[0], parts[1:]
    if name not in inside:
        refuse(f"This property cannot be expanded ({path}).", param="expand")
    value = inside[name]
    if isinstance(value, str):
        found = find(value)
        if found is None:
            refuse(f"This property cannot be expanded ({path}).", param="expand")
        inside[name] = value = render(found)
    if rest:
        _expand(value, rest, find, path=path)


def _public(value: object) -> object:
    if isinstance(value, dict):
        items = cast("dict[str, object]", value)
        return {name: _public(part) for name, part in items.items() if not name.startswith("_")}
    if isinstance(value, list):
        return [_public(part) for part in cast("list[object]", value)]
    return value
