"""How an object leaves the server: without what is the server's own, and expanded as asked."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from infra.local.stripe.errors import refuse
from infra.local.stripe.store import Json

_SHOWN_LINES = 10


def render(thing: Json) -> Json:
    """An object as Stripe shows it."""
    shown = cast("Json", _public(thing))
    if thing.get("object") == "invoice" and "_lines" in thing:
        shown["lines"] = lines_of(thing)
    return shown


def lines_of(invoice: Json) -> Json:
    """The first lines of an invoice; the others are to be listed."""
    every: list[Json] = invoice["_lines"]
    return {
        "object": "list",
        "data": [_public(line) for line in every[:_SHOWN_LINES]],
        "has_more": len(every) > _SHOWN_LINES,
        "url": f"/v1/invoices/{invoice['id']}/lines",
    }


def expand(answer: Json, paths: Sequence[str], find: Callable[[str], Json | None]) -> Json:
    """An answer with the ids at some paths replaced by their objects.

    Raises:
        StripeError: a path leads nowhere.
    """
    for path in paths:
        _expand(answer, path.split("."), find, path=path)
    return answer


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
