"""The search for a value that fits a JSON Schema.

It follows the schema's canonical form, which has few kinds of nodes: conditions are resolved, requirements of the same
value are merged, and a schema without values is `false`. A complete value is validated against the schema as it was
given. Nothing is drawn and candidates have a fixed order, so the same schema has always the same value.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import jsonschema_rs
from jsonschema_rs import CanonicalSchema, canonical
from jsonschema_rs.canonical import CanonicalKind, Distinctness, Satisfiability

from services.runs.providers.domain.instance_hints import declared_order, with_hints
from services.runs.providers.domain.instance_nodes import (
    ANYTHING,
    SAMPLES,
    by_preference,
    matcher,
    merged,
    of_types,
    string_tester,
    tester,
)
from services.runs.providers.domain.instance_scalars import InstanceTooLarge, numbers, strings

MAX_VALUES = 10_000
"""The maximum number of values in a search, and of items in an array."""
MAX_BYTES = 256 * 1024
"""The maximum size of a value as JSON."""
_MAX_DEPTH = 60
"""The levels of objects and arrays; free JSON allows 64."""
_MAX_REFERENCES = 200
_OPTIONAL_DEPTH = 6
"""Below this level, only required properties and items are added."""
_MAX_ROOTS = 100
"""The maximum number of complete values that are validated."""
_ALTERNATIVES = 50
"""The maximum number of alternatives for each property of an object."""
_ERROR_CHARS = 300
_MISSING = object()


class InstanceNotFound(Exception):
    """There is no value, or none was found; the text completes a sentence that begins with the name of the schema."""


def find_instance(schema: Mapping[str, Any]) -> str:
    """Return a value that fits the schema, as JSON.

    Raises:
        InstanceNotFound: no value fits the schema, or none was found.
    """
    given, reason = dict(schema), "is too complex: no value was found"
    validator = _checked(given)
    for candidate, formats, optional in _attempts(given):
        try:
            root = jsonschema_rs.canonicalize(candidate, offline=True, validate_formats=formats)
            values = _Search(root, declared_order(given), optional=optional).of_root()
            fitting = (_encoded(value) for value in islice(values, _MAX_ROOTS) if validator.is_valid(value))
            if text := next(fitting, None):
                return text
        except InstanceTooLarge:
            reason = "requires a value that is too large for a simulated answer"
            if not optional:
                break
        except ValueError:
            continue  # A restriction to hints or formats can make a schema that is not supported.
    raise InstanceNotFound(reason)


def _encoded(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(text.encode()) > MAX_BYTES:
        raise InstanceTooLarge
    return text


def _checked(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    try:
        validator = jsonschema_rs.validator_for(schema, offline=True)
        satisfiability = jsonschema_rs.canonicalize(schema, offline=True).satisfiability()
    except ValueError as error:
        reason = f"is not valid: {str(error).splitlines()[0][:_ERROR_CHARS]}"
        raise InstanceNotFound(reason) from error
    if satisfiability == Satisfiability.NO:
        raise InstanceNotFound(_conflicts(schema))
    return validator


def _conflicts(schema: dict[str, Any]) -> str:
    """Return the most deeply nested part that admits no value, with its keywords."""
    parts = canonical.find_unsatisfiable(schema, offline=True)
    pointer = max(parts, key=lambda one: (one.count("/"), one), default="")
    keywords = sorted({keyword for cause in _causes(parts.get(pointer)) for keyword in cause.keywords})
    conflict = f" ({', '.join(keywords)})" if keywords else ""
    return f"admits no value: no value fits {pointer or 'its root'}{conflict}"


def _causes(reason: canonical.UnsatisfiableReason | None) -> Sequence[canonical.Cause]:
    match reason:
        case canonical.UnsatisfiableReason.Empty(cause):
            return [cause]
        case canonical.UnsatisfiableReason.Conflict(causes):
            return causes
        case _:
            return []


def _attempts(schema: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool, bool]]:
    """Yield restrictions of the schema, each looser than the one before: its text, formats, and optional values."""
    hinted = with_hints(schema)
    for candidate in (hinted, schema) if hinted != schema else (schema,):
        yield candidate, True, True
    yield schema, True, False
    yield schema, False, True
    yield schema, False, False


@dataclass(frozen=True, slots=True)
class _Place:
    """The position of a node in the value."""

    depth: int = 0
    references: tuple[str, ...] = ()
    """The references that were followed to get here."""
    minimal: bool = False
    """Whether only required parts are added."""

    def inside(self) -> "_Place":
        minimal = self.minimal or self.depth >= _OPTIONAL_DEPTH
        return replace(self, depth=self.depth + 1, minimal=minimal)

    def behind(self, uri: str) -> "_Place":
        """Return the place behind a reference; a recursive one is followed no further than necessary."""
        minimal = self.minimal or uri in self.references
        return replace(self, references=(*self.references, uri), minimal=minimal)


class _Search:
    """The search in one canonical schema.

    Args:
        root: the schema.
        order: the position of each property.
        optional: whether optional properties and items are added.
    """

    def __init__(self, root: CanonicalSchema, order: Mapping[str, int], *, optional: bool) -> None:
        self._root = root
        self._order = order
        self._optional = optional
        self._left = MAX_VALUES
        self._by_view: Mapping[type[object], Callable[[CanonicalSchema, Any, _Place], Iterator[object]]] = {
            canonical.TrueView: lambda _node, _view, _at: of_types([*SAMPLES]),
            canonical.ConstView: lambda _node, view, _at: iter((view.value,)),
            canonical.EnumView: lambda _node, view, _at: iter(sorted(view.values, key=lambda one: one is None)),
            canonical.MultiTypeView: lambda _node, view, _at: of_types(view.types),
            canonical.TypedGroupView: lambda _node, view, at: self._of(view.body, at),
            canonical.StringView: lambda _node, view, _at: strings(view, string_tester(view)),
            canonical.IntegerView: lambda _node, view, _at: numbers(view),
            canonical.NumberView: lambda _node, view, _at: numbers(view),
            canonical.ArrayView: lambda _node, view, at: self._arrays(view, at),
            canonical.ObjectView: lambda _node, view, at: self._objects(view, at),
            canonical.AnyOfView: lambda _node, view, at: self._any_of(view.branches, at),
            canonical.OneOfView: lambda node, view, at: filter(tester(node), self._any_of(view.branches, at)),
            canonical.AllOfView: lambda node, view, at: self._all_of(node, view.branches, at),
            canonical.ReferenceView: lambda _node, view, at: self._referenced(view.uri, at),
            canonical.NotView: lambda node, _view, _at: filter(tester(node), SAMPLES.values()),
            canonical.RawView: lambda node, _view, _at: filter(tester(node), SAMPLES.values()),
        }

    def of_root(self) -> Iterator[object]:
        """Yield values of the whole schema.

        Raises:
            InstanceTooLarge: the search has more values than one answer may have.
        """
        return self._of(self._root, _Place(minimal=not self._optional))

    def _of(self, node: CanonicalSchema, at: _Place) -> Iterator[object]:
        view = node.view()
        values = self._by_view.get(type(view))
        if values is None or at.depth > _MAX_DEPTH or len(at.references) > _MAX_REFERENCES:
            return
        for value in values(node, view, at):
            self._left -= 1
            if self._left < 0:
                raise InstanceTooLarge
            yield value

    def _any_of(self, branches: Sequence[CanonicalSchema], at: _Place) -> Iterator[object]:
        for branch in by_preference(branches, minimal=at.minimal):
            yield from self._of(branch, at)

    def _all_of(self, node: CanonicalSchema, branches: Sequence[CanonicalSchema], at: _Place) -> Iterator[object]:
        inner, place = list[CanonicalSchema](), at
        for branch in branches:
            view = branch.view()
            target = self._root.definition(view.uri) if isinstance(view, canonical.ReferenceView) else branch
            place = place.behind(view.uri) if isinstance(view, canonical.ReferenceView) else place
            inner.append(target or branch)
        whole = merged(inner)
        candidates = [whole] if whole and whole.kind != CanonicalKind.ALL_OF else inner
        for candidate in candidates:
            yield from filter(tester(node), self._of(candidate, place))

    def _referenced(self, uri: str, at: _Place) -> Iterator[object]:
        target = self._root.definition(uri)
        if target is not None:
            yield from self._of(target, at.behind(uri))

    def _arrays(self, view: canonical.ArrayView, at: _Place) -> Iterator[object]:
        needed = sum(1 if one.min_contains is None else one.min_contains for one in view.contains)
        least = max(view.min_items or 0, needed, 2 if view.distinctness == Distinctness.SOME_REPEATED else 0)
        if least > MAX_VALUES:
            raise InstanceTooLarge
        most = MAX_VALUES if view.max_items is None else view.max_items
        usual = least if at.minimal else max(least, len(view.prefix_items) + needed, 1 if view.items else 0)
        more = range(least + 1, min(most, least + _ALTERNATIVES) + 1)
        for length in dict.fromkeys((min(usual, most), least, *more)):
            items = self._items(view, length, at.inside())
            if items is not None:
                yield items

    def _items(self, view: canonical.ArrayView, length: int, at: _Place) -> list[object] | None:
        """Return an array of this length; None if none was found."""
        tail, distinct = view.items or ANYTHING, view.distinctness == Distinctness.ALL_DISTINCT
        head = view.prefix_items[:length]
        for one in view.contains:
            head += [merged([tail, one.schema]) or one.schema] * (1 if one.min_contains is None else one.min_contains)
        used: set[str] | None = set() if distinct else None
        items = [_next(self._of(node, at), used) for node in head]
        values, filler = self._of(tail, at), _MISSING
        while len(items) < length:
            filler = _next(values, used) if distinct or filler is _MISSING else filler
            items.append(filler)
            if filler is _MISSING:
                break
        return items if len(items) == length and _MISSING not in items else None

    def _objects(self, view: canonical.ObjectView, at: _Place) -> Iterator[object]:
        inside, fields, required = at.inside(), dict[str, object](), set(view.required)
        for name in self._names(view, required, minimal=at.minimal):
            value = _next(self._of(self._field(view, name), inside))
            if value is not _MISSING:
                fields[name] = value
            elif name in required:
                return
        fields |= self._invented(view, fields, inside)
        yield fields
        for name in fields:
            for other in islice(self._of(self._field(view, name), inside), 1, _ALTERNATIVES):
                yield {**fields, name: other}

    def _names(self, view: canonical.ObjectView, required: set[str], *, minimal: bool) -> list[str]:
        """Return the names of the fields in the order of the schema."""
        optional = list[str]()
        if not minimal:
            allowed = tester(view.property_names or ANYTHING)
            optional = self._sorted(name for name in view.properties if name not in required and allowed(name))
        if view.max_properties is not None:
            optional = optional[: max(0, view.max_properties - len(required))]
        return self._sorted((*required, *optional))

    def _sorted(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: (self._order.get(name, len(self._order)), name))

    @staticmethod
    def _field(view: canonical.ObjectView, name: str) -> CanonicalSchema:
        """Return the schema of a field."""
        nodes = [view.properties[name]] if name in view.properties else []
        nodes += [node for pattern, node in view.pattern_properties.items() if matcher(pattern)(name)]
        if not nodes:
            return view.additional_properties or ANYTHING
        return merged(nodes) or nodes[0]

    def _invented(self, view: canonical.ObjectView, fields: Mapping[str, object], at: _Place) -> dict[str, object]:
        """Return further fields, up to the minimum number of fields."""
        missing, invented = (view.min_properties or 0) - len(fields), dict[str, object]()
        if missing > MAX_VALUES:
            raise InstanceTooLarge
        names = self._new_names(view, at) if missing > 0 else iter(())
        while len(invented) < missing:
            name = next((name for name in names if isinstance(name, str) and name not in fields), None)
            if name is None:
                break
            value = _next(self._of(self._field(view, name), at))
            if value is not _MISSING:
                invented[name] = value
        return invented

    def _new_names(self, view: canonical.ObjectView, at: _Place) -> Iterator[object]:
        yield from view.properties
        for pattern in view.pattern_properties:
            yield from self._of(jsonschema_rs.canonicalize({"type": "string", "pattern": pattern}), at)
        if view.property_names:
            yield from self._of(view.property_names, at)
        yield from (f"property_{number}" for number in range(1, MAX_VALUES))


def _next(values: Iterator[object], used: set[str] | None = None) -> object:
    """Return the next value; with `used`, the next one that is not in it, which is then added."""
    for value in values:
        key = json.dumps(value, sort_keys=True) if used is not None else ""
        if used is None or key not in used:
            if used is not None:
                used.add(key)
            return value
    return _MISSING
