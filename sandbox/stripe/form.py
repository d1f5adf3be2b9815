"""Stripe's form encoding: `items[0][price]=price_1` is a list of objects in a flat form."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast
from urllib.parse import parse_qsl

from sandbox.stripe.errors import StripeError, refuse

_KEY = re.compile(r"([^\[\]]+)|\[([^\[\]]*)\]")
_FREE = frozenset({"metadata", "payload"})
"""Objects whose keys the caller chooses. They are never lists."""


def decode(text: str) -> dict[str, Any]:
    """Decode the nested parameters of a form or a query."""
    given: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        _place(given, [plain or inner for plain, inner in _KEY.findall(key)], value)
    return cast("dict[str, Any]", _with_lists(given, free=False))


def _place(into: dict[str, Any], path: list[str], value: str) -> None:
    here: dict[str, Any] = into
    for name, following in pairwise(path):
        inner: object = here.setdefault(name or str(len(here)), {})
        if not isinstance(inner, dict):
            refuse(f"Invalid parameter: {following}", param=path[0])
        here = cast("dict[str, Any]", inner)
    here[path[-1] or str(len(here))] = value


def _with_lists(value: object, *, free: bool) -> object:
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, object]", value)
    nested = {name: _with_lists(part, free=name in _FREE) for name, part in items.items()}
    if nested and not free and all(name.isdecimal() for name in nested):
        return [nested[name] for name in sorted(nested, key=int)]
    return nested


@dataclass
class Params:
    """The parameters of one request, read by name.

    Reading a parameter marks it as known. Parameters that remain unread are refused, so that none is silently ignored.
    """

    given: Mapping[str, Any]
    at: str = ""
    unread: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.unread.update(self._name(name) for name in self.given)

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def text(self, name: str) -> str | None:
        """Return a text. None if it is missing or empty; an empty text unsets a field."""
        return str(self._take(name) or "") or None

    def required(self, name: str) -> str:
        """Return a required text.

        Raises:
            StripeError: it is not.
        """
        value = self.text(name)
        if value is None:
            raise StripeError(400, f"Missing required param: {name}.", "parameter_missing", self._name(name))
        return value

    def choice(self, name: str, *allowed: str) -> str:
        """Return one of several words; the first if the parameter is missing."""
        value = self.text(name) or allowed[0]
        if value not in allowed:
            listed = ", ".join(allowed)
            refuse(f"Invalid {self._name(name)}: must be one of {listed}", param=self._name(name))
        return value

    def integer(self, name: str) -> int | None:
        """Return an integer."""
        value = self.text(name)
        if value is not None and not re.fullmatch(r"-?\d{1,18}", value):
            raise StripeError(400, f"Invalid integer: {value}", "parameter_invalid_integer", self._name(name))
        return None if value is None else int(value)

    def boolean(self, name: str) -> bool | None:
        """Return a boolean."""
        value = self.text(name)
        if value not in {None, "true", "false"}:
            refuse(f"Invalid boolean: {value}", param=self._name(name))
        return None if value is None else value == "true"

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        return [str(part) for part in self._list(name)]

    def nested(self, name: str) -> "Params":
        """Return an object, which is empty if it is missing."""
        value = self._take(name)
        return self._inner(name, value)

    def many(self, name: str) -> "list[Params]":
        """Return a list of objects."""
        return [self._inner(f"{name}[{index}]", part) for index, part in enumerate(self._list(name))]

    def free(self, name: str) -> dict[str, str]:
        """Return an object whose keys the caller chooses."""
        value = self._take(name)
        return {str(key): str(part) for key, part in cast("dict[str, Any]", value or {}).items()}

    def refuse_unread(self) -> None:
        """Refuse parameters that were not read.

        Raises:
            StripeError: Stripe or this server does not know a parameter.
        """
        if self.unread:
            name = min(self.unread)
            raise StripeError(400, f"Received unknown parameter: {name}", "parameter_unknown", name)

    def _take(self, name: str) -> object:
        self.unread.discard(self._name(name))
        return self.given.get(name)

    def _list(self, name: str) -> Iterable[Any]:
        value = self._take(name)
        if value in (None, "", {}):
            return []
        if not isinstance(value, list):
            refuse("Invalid array", param=self._name(name))
        return cast("list[Any]", value)

    def _inner(self, name: str, value: object) -> "Params":
        if value in (None, ""):
            value = {}
        if not isinstance(value, dict):
            refuse("Invalid object", param=self._name(name))
        return Params(cast("dict[str, Any]", value), self._name(name), self.unread)

    def _name(self, name: str) -> str:
        return f"{self.at}[{name}]" if self.at and not name.startswith("[") else f"{self.at}{name}"
