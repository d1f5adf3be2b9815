"""Items in DynamoDB's wire format: text, integers, booleans, null, lists and maps.

Floats are refused, because DynamoDB would round them. JSON that users wrote is stored as text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

Value: TypeAlias = "str | int | bool | Sequence[Value] | Mapping[str, Value] | None"
Item: TypeAlias = Mapping[str, Value]
Wire: TypeAlias = dict[str, Any]


class Key(NamedTuple):
    """The primary key of an item."""

    pk: str
    sk: str

    @property
    def wire(self) -> Wire:
        """The key in the format of a request."""
        return {"PK": {"S": self.pk}, "SK": {"S": self.sk}}

    @property
    def attributes(self) -> dict[str, Value]:
        """The key as attributes of an item."""
        return {"PK": self.pk, "SK": self.sk}


def key_of(item: Item) -> Key:
    """Return the key of an item."""
    return Key(str(item["PK"]), str(item["SK"]))


def to_wire(value: Value) -> Wire:
    """Return a value in the wire format.

    Raises:
        TypeError: the value cannot be stored exactly.
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case Mapping():
            return {"M": item_to_wire(value)}
        case Sequence():
            return {"L": [to_wire(entry) for entry in value]}
        case _:  # pyright: ignore[reportUnnecessaryComparison]  # the type checker does not see every caller
            msg = f"a {type(value).__name__} cannot be stored exactly"
            raise TypeError(msg)


def item_to_wire(item: Mapping[str, Value]) -> Wire:
    """Return all attributes of an item in the wire format."""
    return {name: to_wire(value) for name, value in item.items()}


def from_wire(wire: Wire) -> Value:
    """Return the value that was written as `wire`. A fraction is returned as text."""
    [(kind, content)] = wire.items()
    match kind:
        case "N":
            # Only a manual change can write a fraction. It must not make the items unreadable that are read with it.
            return int(content) if content.lstrip("-").isdecimal() else content
        case "NULL":
            return None
        case "M":
            return item_from_wire(content)
        case "L":
            return [from_wire(entry) for entry in content]
        case _:
            return cast("Value", content)


def item_from_wire(wire: Wire) -> dict[str, Value]:
    """Return the item that was written as `wire`."""
    return {name: from_wire(value) for name, value in wire.items()}


class Reader:
    """Typed access to the attributes of an item that the service itself wrote."""

    def __init__(self, item: Item) -> None:
        self._item = item

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all attributes."""
        return tuple(self._item)

    def text(self, name: str) -> str:
        """Return a required text."""
        return str(self._item[name])

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None if it is missing."""
        value = self._item.get(name)
        return None if value is None else str(value)

    def integer(self, name: str) -> int:
        """Return a required integer."""
        return int(cast("int", self._item[name]))

    def optional_integer(self, name: str) -> int | None:
        """Return an integer, or None if it is missing."""
        value = self._item.get(name)
        return None if value is None else int(cast("int", value))

    def flag(self, name: str) -> bool:
        """Return a boolean; a missing one is False."""
        return bool(self._item.get(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; a missing one is empty."""
        return tuple(str(entry) for entry in cast("Sequence[Value]", self._item.get(name) or ()))

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts, or None if it is missing, which differs from an empty list."""
        return None if self._item.get(name) is None else self.texts(name)

    def map(self, name: str) -> "Reader":
        """Return a required map."""
        return Reader(cast("Item", self._item[name]))

    def maps(self, name: str) -> tuple["Reader", ...]:
        """Return a list of maps; a missing one is empty."""
        return tuple(Reader(cast("Item", entry)) for entry in cast("Sequence[Value]", self._item.get(name) or ()))

    def integers(self, name: str) -> dict[str, int]:
        """Return a map of integers; a missing one is empty."""
        entries = cast("Item", self._item.get(name) or {})
        return {key: int(cast("int", value)) for key, value in entries.items()}
