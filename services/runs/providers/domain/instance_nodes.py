"""Nodes of canonical schemas: their union, their intersection, and the values that they admit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import jsonschema_rs
from jsonschema_rs import CanonicalSchema
from jsonschema_rs.canonical import CanonicalizationError, CanonicalKind, ConstView, MultiTypeView, StringView

from services.runs.providers.domain.instance_scalars import MAX_CANDIDATES

ANYTHING = jsonschema_rs.canonicalize({})
SAMPLES: Mapping[str, object] = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "object": {},
    "array": [],
    "null": None,
}
"""A value of each type, in the order in which they are preferred."""
_MORE: Mapping[str, Callable[[int], object]] = {
    "string": lambda number: f"text {number}",
    "integer": lambda number: number,
    "number": lambda number: number + 0.5,
    "object": lambda number: {"value": number},
    "array": lambda number: [number],
}
"""Further values of a type, from number 2 on."""
_CACHED = 256
"""The number of compiled conditions of each kind that are kept."""
_CONTAINERS = {CanonicalKind.ARRAY: 1, CanonicalKind.OBJECT: 2, CanonicalKind.REFERENCE: 3}


def of_types(types: Sequence[str]) -> Iterator[object]:
    """Yield a value of each type, and then further values of the first type that has more."""
    preferred = [name for name in SAMPLES if name in types]
    yield from (SAMPLES[name] for name in preferred)
    more = next((_MORE[name] for name in preferred if name in _MORE), None)
    if more:
        yield from (more(number) for number in range(2, MAX_CANDIDATES))


@lru_cache(maxsize=_CACHED)
def tester(node: CanonicalSchema) -> Callable[[object], bool]:
    """Return a function that tests whether a value fits a node."""
    schema = cast("dict[str, Any] | bool", node.to_json_schema())
    return jsonschema_rs.validator_for(schema, offline=True, validate_formats=True).is_valid


def string_tester(view: StringView) -> Callable[[object], bool]:
    """Return a function that tests whether a text fits a node of strings."""
    return _string_tester(
        tuple(view.patterns),
        tuple(view.excluded_patterns),
        tuple(view.formats),
        tuple(view.excluded_formats),
        tuple(view.excluded),
        view.min_length or 0,
        view.max_length,
    )


@lru_cache(maxsize=_CACHED)
def _string_tester(
    patterns: tuple[str, ...],
    excluded_patterns: tuple[str, ...],
    formats: tuple[str, ...],
    excluded_formats: tuple[str, ...],
    excluded: tuple[str, ...],
    min_length: int,
    max_length: int | None,
) -> Callable[[object], bool]:
    # Only the facets of the node: a schema of a node contains all definitions of its root, which are compiled too.
    schema = {
        "minLength": min_length,
        **({} if max_length is None else {"maxLength": max_length}),
        "allOf": [
            *({"pattern": pattern} for pattern in patterns),
            *({"format": name} for name in formats),
            *({"not": {"pattern": pattern}} for pattern in excluded_patterns),
            *({"not": {"format": name}} for name in excluded_formats),
            {"not": {"enum": list(excluded)}} if excluded else {},
        ],
    }
    return jsonschema_rs.validator_for(schema, offline=True, validate_formats=True).is_valid


@lru_cache(maxsize=_CACHED)
def matcher(pattern: str) -> Callable[[object], bool]:
    """Return a function that tests whether a text matches a pattern."""
    return jsonschema_rs.validator_for({"pattern": pattern}, offline=True).is_valid


def merged(nodes: Sequence[CanonicalSchema]) -> CanonicalSchema | None:
    """Return the values that all nodes admit; None if the library cannot describe them."""
    whole = ANYTHING
    for node in nodes:
        try:
            whole = whole.intersect(node)
        except CanonicalizationError:
            return None
    return whole


def by_preference(branches: Sequence[CanonicalSchema], *, minimal: bool) -> list[CanonicalSchema]:
    """Return the branches in the order in which they are tried: null last, or the smallest values first."""
    if minimal:
        return sorted(branches, key=lambda one: _CONTAINERS.get(one.kind, 0))
    return sorted(branches, key=_is_null)


def _is_null(node: CanonicalSchema) -> bool:
    match node.view():
        case ConstView(value):
            return value is None
        case MultiTypeView(types):
            return types == ["null"]
        case _:
            return False
