"""Conditions and updates as DynamoDB reads them, as far as this product writes them.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

WireItem = dict[str, Any]
Values = Mapping[str, Any]
Test = Callable[[WireItem, Values], bool]
Change = Callable[[WireItem, Values], None]

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
    if tokens and tokens[0] == "(":
        return _function(first, tokens)
    return _comparison(first, tokens)


def _function(name: str, tokens: list[str]) -> Test:
    _expect(tokens, "(")
    attribute = tokens.pop(0)
    argument = ""
    if tokens[0] == ",":
        tokens.pop(0)
        argument = tokens.pop(0)
    _expect(tokens, ")")
    match name:
        case "attribute_exists":
            return lambda item, _: attribute in item
        case "attribute_not_exists":
            return lambda item, _: attribute not in item
        case "begins_with":
            return lambda item, values: (
                attribute in item and _plain(item[attribute]).startswith(_plain(values[argument]))
            )
        case _:
            raise BadExpression(name)


def _comparison(left: str, tokens: list[str]) -> Test:
    operator = tokens.pop(0)
    if operator == "BETWEEN":
        low = tokens.pop(0)
        _expect(tokens, "AND")
        high = tokens.pop(0)
        return lambda item, values: left in item and _plain(values[low]) <= _plain(item[left]) <= _plain(values[high])
    right = tokens.pop(0)
    compare = _COMPARISONS.get(operator)
    if compare is None:
        raise BadExpression(operator)
    return lambda item, values: left in item and compare(item[left], values[right])


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
        before = dict(item)
        for one in changes:
            one(item, {**values, "": before})

    return change


def _split(body: str) -> list[str]:
    """At the commas outside of brackets."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", body)]


def _set(parts: list[str]) -> Change:
    assignments = [tuple(side.strip() for side in part.split("=", 1)) for part in parts]

    def change(item: WireItem, values: Values) -> None:
        for name, text in assignments:
            item[name] = _operand(text, values)

    return change


def _operand(text: str, values: Values) -> Any:  # noqa: ANN401 — a wire value
    before: WireItem = values[""]
    if found := re.fullmatch(r"if_not_exists\((.+),(.+)\)", text):
        name, default = (side.strip() for side in found.groups())
        return before[name] if name in before else _operand(default, values)
    if found := re.fullmatch(r"(.+?)\s*([+-])\s*(.+)", text):
        left, right = (int(_operand(side, values)["N"]) for side in (found[1], found[3]))
        return {"N": str(left + right if found[2] == "+" else left - right)}
    if text.startswith(":"):
        return values[text]
    if text not in before:
        raise BadExpression(text)
    return before[text]


def _add(parts: list[str]) -> Change:
    added = [tuple(part.split()) for part in parts]

    def change(item: WireItem, values: Values) -> None:
        for name, value in added:
            item[name] = {"N": str(int(item.get(name, {"N": "0"})["N"]) + int(values[value]["N"]))}

    return change


def _remove(parts: list[str]) -> Change:
    def change(item: WireItem, _: Values) -> None:
        for name in parts:
            item.pop(name, None)

    return change


_CLAUSES: dict[str, Callable[[list[str]], Change]] = {"SET": _set, "ADD": _add, "REMOVE": _remove}
