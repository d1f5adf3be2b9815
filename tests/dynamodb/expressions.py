"""Conditions and updates as DynamoDB reads them, as far as this product writes them.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import copy
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

WireItem = dict[str, Any]
Values = Mapping[str, Any]
Test = Callable[[WireItem, Values], bool]
Change = Callable[[WireItem, Values], None]
Read = Callable[[WireItem], Any]

_TOKEN = re.compile(r"\s*([:#]?[\w.]+|<=|>=|<>|[=<>(),+-])")
_CLAUSE = re.compile(r"\b(SET|ADD|REMOVE|DELETE)\b")


class BadExpression(ValueError):
    """DynamoDB would refuse it."""


@lru_cache(maxsize=10_000)
def condition(text: str) -> Test:
    """The test that a condition stands for; its names are those of attributes."""
    tokens = _TOKEN.findall(text)
    test = _any_of(tokens)
    if tokens:
        raise BadExpression(text)
    return test


def _any_of(tokens: list[str]) -> Test:
    tests = [_all_of(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        tests.append(_all_of(tokens))
    return lambda item, values: any(test(item, values) for test in tests)


def _all_of(tokens: list[str]) -> Test:
    tests = [_term(tokens)]
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        tests.append(_term(tokens))
    return lambda item, values: all(test(item, values) for test in tests)


def _term(tokens: list[str]) -> Test:
    first = tokens.pop(0)
    if first == "NOT":
        negated = _term(tokens)
        return lambda item, values: not negated(item, values)
    if first == "(":
        inner = _any_of(tokens)
        _expect(tokens, ")")
        return inner
    if tokens and tokens[0] == "(" and first != "size":
        return _function(first, tokens)
    return _comparison(_measured(tokens) if first == "size" else _read(first), tokens)


def _measured(tokens: list[str]) -> Read:
    """The number of entries of a map or list."""
    _expect(tokens, "(")
    read = _read(tokens.pop(0))
    _expect(tokens, ")")

    def size(item: WireItem) -> Any:  # noqa: ANN401 — a wire value
        found = read(item)
        return {"N": str(len(_plain(found)))} if found else None

    return size


def _read(path: str) -> Read:
    """What stands at `attribute`, or at `attribute.entry`; None: nothing."""
    name, *entries = path.split(".")

    def read(item: WireItem) -> Any:  # noqa: ANN401 — a wire value
        found = item.get(name)
        for entry in entries:
            found = found["M"].get(entry) if found else None
        return found

    return read


def _function(name: str, tokens: list[str]) -> Test:
    _expect(tokens, "(")
    attribute = tokens.pop(0)
    argument = ""
    if tokens[0] == ",":
        tokens.pop(0)
        argument = tokens.pop(0)
    _expect(tokens, ")")
    read = _read(attribute)
    match name:
        case "attribute_exists":
            return lambda item, _: read(item) is not None
        case "attribute_not_exists":
            return lambda item, _: read(item) is None
        case "begins_with":
            return lambda item, values: (
                attribute in item and _plain(item[attribute]).startswith(_plain(values[argument]))
            )
        case _:
            raise BadExpression(name)


def _comparison(left: Read, tokens: list[str]) -> Test:
    operator = tokens.pop(0)
    if operator == "BETWEEN":
        low = tokens.pop(0)
        _expect(tokens, "AND")
        high = tokens.pop(0)
        return lambda item, values: (
            (there := left(item)) is not None and _plain(values[low]) <= _plain(there) <= _plain(values[high])
        )
    right = tokens.pop(0)
    compare = _COMPARISONS.get(operator)
    if compare is None:
        raise BadExpression(operator)
    read = _read(right)

    def test(item: WireItem, values: Values) -> bool:
        one, other = left(item), values[right] if right.startswith(":") else read(item)
        return one is not None and other is not None and compare(one, other)

    return test


def _same_kind(left: Any, right: Any) -> bool:  # noqa: ANN401 — wire values
    return left.keys() == right.keys()


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: _same_kind(left, right) and _plain(left) == _plain(right),
    "<>": lambda left, right: not _same_kind(left, right) or _plain(left) != _plain(right),
    "<": lambda left, right: _same_kind(left, right) and _plain(left) < _plain(right),
    "<=": lambda left, right: _same_kind(left, right) and _plain(left) <= _plain(right),
    ">": lambda left, right: _same_kind(left, right) and _plain(left) > _plain(right),
    ">=": lambda left, right: _same_kind(left, right) and _plain(left) >= _plain(right),
}


def _plain(wire: Any) -> Any:  # noqa: ANN401 — a wire value
    """What compares as DynamoDB compares it."""
    [(kind, content)] = wire.items()
    return int(content) if kind == "N" else content


def _expect(tokens: list[str], token: str) -> None:
    if not tokens or tokens.pop(0) != token:
        raise BadExpression(token)


@lru_cache(maxsize=10_000)
def update(text: str) -> Change:
    """The change of an item that an update stands for; its names are those of attributes."""
    parts = _CLAUSE.split(text)
    clauses = dict(zip(parts[1::2], parts[2::2], strict=True))
    if parts[0].strip() or len(clauses) * 2 + 1 != len(parts):
        raise BadExpression(text)
    changes = [_CLAUSES[name](_split(body)) for name, body in clauses.items()]

    def change(item: WireItem, values: Values) -> None:
        before = copy.deepcopy(item)
        for one in changes:
            one(item, {**values, "": before})

    return change


def _split(body: str) -> list[str]:
    """At the commas outside of brackets."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", body)]


def _set(parts: list[str]) -> Change:
    assignments = [tuple(side.strip() for side in part.split("=", 1)) for part in parts]

    def change(item: WireItem, values: Values) -> None:
        for path, text in assignments:
            parent, name = _parent(item, path)
            parent[name] = _operand(text, values)

    return change


def _operand(text: str, values: Values) -> Any:  # noqa: ANN401 — a wire value
    before: WireItem = values[""]
    if found := re.fullmatch(r"if_not_exists\((.+),(.+)\)", text):
        path, default = (side.strip() for side in found.groups())
        there = _read(path)(before)
        return _operand(default, values) if there is None else there
    if found := re.fullmatch(r"list_append\((.+),(.+)\)", text):
        return {"L": [entry for side in found.groups() for entry in _operand(side.strip(), values)["L"]]}
    if found := re.fullmatch(r"(.+?)\s*([+-])\s*(.+)", text):
        left, right = (int(_operand(side, values)["N"]) for side in (found[1], found[3]))
        return {"N": str(left + right if found[2] == "+" else left - right)}
    if text.startswith(":"):
        return values[text]
    there = _read(text)(before)
    if there is None:
        raise BadExpression(text)
    return there


def _parent(item: WireItem, path: str) -> tuple[WireItem, str]:
    """The map in which the last name of a path stands."""
    *outer, name = path.split(".")
    for entry in outer:
        if entry not in item:
            raise BadExpression(path)
        item = item[entry]["M"]
    return item, name


def _add(parts: list[str]) -> Change:
    added = [tuple(part.split()) for part in parts]

    def change(item: WireItem, values: Values) -> None:
        for name, value in added:
            item[name] = {"N": str(int(item.get(name, {"N": "0"})["N"]) + int(values[value]["N"]))}

    return change


def _remove(parts: list[str]) -> Change:
    def change(item: WireItem, _: Values) -> None:
        for path in parts:
            parent, name = _parent(item, path)
            parent.pop(name, None)

    return change


_CLAUSES: dict[str, Callable[[list[str]], Change]] = {"SET": _set, "ADD": _add, "REMOVE": _remove}
