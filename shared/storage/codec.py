"""Conversion of dataclasses to the attributes of items and back, derived from their fields."""

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from shared.storage.items import Item, Value
from shared.times import from_text, to_text

T = TypeVar("T")
Convert = Callable[[Any], Any]

_REQUIRED = object()
"""The default of a field that has none."""


class Conversion(NamedTuple):
    """How values of one type are stored; None where they are stored as they are."""

    encode: Convert | None
    decode: Convert | None


_AS_IT_IS = Conversion(None, None)
_CONVERSIONS: Mapping[Any, Conversion] = {
    str: _AS_IT_IS,
    int: _AS_IT_IS,
    bool: _AS_IT_IS,
    datetime: Conversion(to_text, from_text),
    date: Conversion(date.isoformat, date.fromisoformat),
}


class _Stored(NamedTuple):
    """A field and its attribute."""

    field: str
    attribute: str
    encode: Convert | None
    decode: Convert | None
    default: Any
    omitted: Any
    """The value that is not stored: the default, unless it is always stored."""


class Codec(Generic[T]):
    """The attributes of one type of record.

    A field is stored under its own name. None and a field's default value are not stored, and a missing attribute is
    read as its field's default, or else as None. Times and dates are stored as text, enumerations by their value,
    tuples and sets as lists, and nested dataclasses as maps.

    Args:
        record: a dataclass of text, integers, booleans, times, dates, enumerations, nested dataclasses, and of tuples,
            frozen sets and mappings of these.
        names: the attributes of fields that are stored under another name.
        flat: nested dataclasses whose fields are attributes of the item itself, each with the prefix of the attributes
            or with its own codec.
        conversions: those of types that are stored in another way, wherever they occur in the record.
        given: fields that are not stored, because the reader knows them: from the key, for example.
        always: fields that are stored even if they have their default value, because the preceding release needs them.

    Raises:
        TypeError: a field has a type that cannot be stored exactly. It is raised on first use, as types are resolved
            then.
    """

    def __init__(
        self,
        record: type[T],
        *,
        names: Mapping[str, str] | None = None,
        flat: "Mapping[str, str | Codec[Any]] | None" = None,
        conversions: Mapping[Any, Conversion] | None = None,
        given: Sequence[str] = (),
        always: Sequence[str] = (),
    ) -> None:
        self._record = record
        self._names = names or {}
        self._flat = flat or {}
        self._conversions = {**_CONVERSIONS, **(conversions or {})}
        self.given = frozenset(given)
        self._always = frozenset(always)

    def encode(self, record: T) -> dict[str, Value]:
        """Return the attributes of a record."""
        attributes: dict[str, Value] = {}
        for field, attribute, encode, default in self._written:
            value = getattr(record, field)
            if value is not None and (default is None or value != default):
                attributes[attribute] = encode(value) if encode else value
        for field, nested in self._nested.items():
            value = getattr(record, field)
            if value is not None:
                attributes |= nested.encode(value)
        return attributes

    def decode(self, item: Item, **given: object) -> T:
        """Return the record that was stored in an item.

        Args:
            item: the item, or a map of it.
            given: the values of the fields that are not stored.

        Raises:
            KeyError: a required attribute is missing.
        """
        values: dict[str, Any] = given
        for field, attribute, _, decode, default, _ in self._stored:
            value = item.get(attribute)
            if value is not None:
                values[field] = decode(value) if decode else value
            elif default is _REQUIRED:
                raise KeyError(attribute)
            else:
                values[field] = default
        for field, nested in self._nested.items():
            values[field] = nested.decode(item) if field not in self._optional or nested.is_in(item) else None
        return self._record(**values)

    def is_in(self, item: Item) -> bool:
        """Return whether an item has any attribute of such a record."""
        return any(item.get(stored.attribute) is not None for stored in self._stored) or any(
            nested.is_in(item) for nested in self._nested.values()
        )

    def difference(self, before: T, after: T) -> dict[str, Value]:
        """Return the attributes by which a record differs from another, for an update; None for those to remove."""
        attributes: dict[str, Value] = {}
        for field, attribute, encode, default in self._written:
            old, new = getattr(before, field), getattr(after, field)
            if old is new or old == new:
                continue
            is_stored = new is not None and (default is None or new != default)
            attributes[attribute] = (encode(new) if encode else new) if is_stored else None
        for field, nested in self._nested.items():
            if getattr(before, field) != getattr(after, field):
                attributes |= nested.all_values(getattr(after, field))
        return attributes

    def values(self, **changed: object) -> dict[str, Value]:
        """Return the attributes of some fields, for an update.

        A field that is None or has its default value is included, because an update must write it.
        """
        values: dict[str, Value] = {}
        for field, value in changed.items():
            nested = self._nested.get(field)
            if nested:
                values |= nested.all_values(value)
            else:
                stored = self._by_field[field]
                encode = stored.encode if value is not None else None
                values[stored.attribute] = encode(value) if encode else cast("Value", value)
        return values

    def all_values(self, record: T | None) -> dict[str, Value]:
        """Return all attributes of a record, with those that are None; all are None without a record."""
        fields_of = (*(stored.field for stored in self._stored), *self._nested)
        return self.values(**{field: getattr(record, field, None) for field in fields_of})

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """The attributes in which the fields are stored, without those of flat nested records."""
        return tuple(stored.attribute for stored in self._stored)

    @property
    def conversion(self) -> Conversion:
        """The conversion of such records where they are parts of others."""
        return Conversion(self.encode, self.decode)

    def is_default(self, field: str, value: object) -> bool:
        """Return whether a missing attribute is read as this value of a field."""
        default = self._by_field[field].default
        return value is None or (default is not _REQUIRED and value == default)

    def attribute(self, field: str) -> str:
        """Return the attribute in which a field is stored."""
        return self._by_field[field].attribute

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self._record, include_extras=True)

    @cached_property
    def _stored(self) -> tuple[_Stored, ...]:
        return tuple(
            self._stored_as(field)
            for field in fields(cast("Any", self._record))
            if field.name not in self._flat and field.name not in self.given
        )

    def _stored_as(self, field: Field[Any]) -> _Stored:
        hint = self._hints[field.name]
        attribute, default = self._names.get(field.name, field.name), _default(field, hint)
        omitted = _REQUIRED if field.name in self._always else default
        return _Stored(field.name, attribute, *_conversion(hint, self._conversions), default, omitted)

    @cached_property
    def _written(self) -> Sequence[tuple[str, str, Convert | None, Any]]:
        """The stored fields with what is needed to write them; the default is None where all values are written."""
        return [(one.field, one.attribute, one.encode, _none_if_required(one.omitted)) for one in self._stored]

    @cached_property
    def _by_field(self) -> dict[str, _Stored]:
        return {stored.field: stored for stored in self._stored}

    @cached_property
    def _nested(self) -> "dict[str, Codec[Any]]":
        """The codecs of the nested records whose fields are attributes of the item itself."""
        return {
            field: self._with_prefix(self._hints[field], flat) if isinstance(flat, str) else flat
            for field, flat in self._flat.items()
        }

    @cached_property
    def _optional(self) -> frozenset[str]:
        """The fields with nested records that may be None, which an item without their attributes means."""
        return frozenset(field for field in self._flat if _is_optional(self._hints[field]))

    def _with_prefix(self, hint: Any, prefix: str) -> "Codec[Any]":  # noqa: ANN401 — any annotation
        record = _without_none(hint)
        return Codec(
            record, names={field.name: prefix + field.name for field in fields(record)}, conversions=self._conversions
        )


def _default(field: Field[Any], hint: Any) -> Any:  # noqa: ANN401 — the default of any field
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if _is_optional(hint) else _REQUIRED


def _none_if_required(default: Any) -> Any:  # noqa: ANN401 — the default of any field
    return None if default is _REQUIRED else default


def _is_optional(hint: Any) -> bool:  # noqa: ANN401 — any annotation
    return get_origin(hint) in {Union, types.UnionType} and type(None) in get_args(hint)


def _without_none(hint: Any) -> Any:  # noqa: ANN401 — any annotation
    if not _is_optional(hint):
        return hint
    return Union[tuple(part for part in get_args(hint) if part is not type(None))]  # noqa: UP007 — made of parts


def _conversion(hint: Any, conversions: Mapping[Any, Conversion]) -> Conversion:  # noqa: ANN401 — any annotation
    """Return how values of a type are stored.

    Args:
        hint: the type, or None in a union with it.
        conversions: those of the types that have one of their own.
    """
    hint = _without_none(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _conversion(parts[0], conversions)
    if hint in conversions:
        return conversions[hint]
    if origin is Literal:
        return _AS_IT_IS
    if origin is not None:
        return _conversion_of_container(origin, parts, conversions)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Conversion(attrgetter("value"), cast("type[Any]", hint))
    if is_dataclass(cast("Any", hint)):
        return Codec(cast("type[Any]", hint), conversions=conversions).conversion
    msg = f"{hint} cannot be stored exactly"
    raise TypeError(msg)


def _conversion_of_container(origin: Any, parts: Sequence[Any], conversions: Mapping[Any, Conversion]) -> Conversion:  # noqa: ANN401 — any annotation
    if issubclass(origin, Mapping) and issubclass(parts[0], str):
        return _map(parts[0], _conversion(parts[1], conversions))
    if issubclass(origin, AbstractSet):
        return _list(_conversion(parts[0], conversions), ordered=sorted, make=frozenset)
    if issubclass(origin, Sequence):
        return _list(_conversion(parts[0], conversions), ordered=list, make=tuple)
    msg = f"{origin} of {parts} cannot be stored exactly"
    raise TypeError(msg)


def _map(key: type[str], of: Conversion) -> Conversion:
    to_value, from_value = of

    def encode(value: Mapping[str, Any]) -> dict[str, Any]:
        return {str(name): to_value(entry) if to_value else entry for name, entry in value.items()}

    def decode(value: Mapping[str, Any]) -> dict[str, Any]:
        return {key(name): from_value(entry) if from_value else entry for name, entry in value.items()}

    return Conversion(encode, decode)


def _list(of: Conversion, *, ordered: Convert, make: Convert) -> Conversion:
    to_value, from_value = of

    def encode(value: Iterable[Any]) -> list[Any]:
        return [to_value(entry) for entry in ordered(value)] if to_value else ordered(value)

    def decode(value: Iterable[Any]) -> Any:  # noqa: ANN401 — a tuple or a frozen set
        return make(map(from_value, value)) if from_value else make(value)

    return Conversion(encode, decode)
