"""A change of a slice: everything in it happens, or nothing does."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import Conflict
from shared.events.envelope import Event, EventData
from shared.storage.items import Item, Key, Value, Wire, item_to_wire, key_of

MAX_ACTIONS = 100
"""Of one transaction. https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""

Refusal = Callable[[Item | None], Exception]
"""Makes the error of a failed condition from the item that is there (None: there is none)."""


@dataclass(frozen=True)
class Expression:
    """A condition or an update; `#name` stands for an attribute and `:name` for one of the values."""

    text: str
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])

    def arguments(self, parameter: str) -> Wire:
        """The request arguments that carry it."""
        return arguments_of({parameter: self})


def arguments_of(expressions: Mapping[str, Expression | None]) -> Wire:
    """The request arguments of several expressions that share names and values."""
    present = {parameter: expression for parameter, expression in expressions.items() if expression}
    names = {name for expression in present.values() for name in re.findall(r"#\w+", expression.text)}
    values = {f":{name}": value for expression in present.values() for name, value in expression.values.items()}
    arguments: Wire = {parameter: expression.text for parameter, expression in present.items()}
    if names:
        arguments["ExpressionAttributeNames"] = {name: name[1:] for name in sorted(names)}
    if values:
        arguments["ExpressionAttributeValues"] = item_to_wire(values)
    return arguments


ABSENT = Expression("attribute_not_exists(PK)")
PRESENT = Expression("attribute_exists(PK)")


@dataclass(frozen=True)
class Action:
    """One item's part in a transaction."""

    operation: str
    """`Put`, `Update`, `Delete` or `ConditionCheck`."""
    key: Key
    arguments: Wire
    refusal: Refusal


def refuse_with(error: Exception) -> Refusal:
    """The same error, whatever is there."""
    return lambda _: error


_CHANGED = refuse_with(Conflict("It was changed at the same time; read it again and try once more."))


class Transaction:
    """Collects the parts of one change of one tenant's slice; `Store.commit` carries it out.

    Args:
        tenant_id: whose slice it is.
        is_step: it only prepares a change, or takes the preparation back, so there is nothing to record of it yet.
    """

    def __init__(self, tenant_id: str, *, is_step: bool = False) -> None:
        self.tenant_id = tenant_id
        self.is_step = is_step
        self.actions: list[Action] = []
        self.events: list[Event[EventData]] = []

    def put(self, item: Item, *, when: Expression | None = None, otherwise: Refusal = _CHANGED) -> None:
        """Write the whole item."""
        arguments: Wire = {"Item": item_to_wire(item)}
        self._add("Put", key_of(item), arguments, {"ConditionExpression": when}, otherwise)

    def update(
        self, key: Key, change: Expression, *, when: Expression | None = None, otherwise: Refusal = _CHANGED
    ) -> None:
        """Change some attributes of an item."""
        expressions = {"UpdateExpression": change, "ConditionExpression": when}
        self._add("Update", key, {"Key": key.wire}, expressions, otherwise)

    def delete(self, key: Key, *, when: Expression | None = None, otherwise: Refusal = _CHANGED) -> None:
        """Remove an item."""
        self._add("Delete", key, {"Key": key.wire}, {"ConditionExpression": when}, otherwise)

    def check(self, key: Key, *, when: Expression, otherwise: Refusal = _CHANGED) -> None:
        """Let the change happen only when this holds of an item that it does not touch."""
        self._add("ConditionCheck", key, {"Key": key.wire}, {"ConditionExpression": when}, otherwise)

    def emit(self, *events: Event[Any]) -> None:
        """Say these events, if and only if the change happens."""
        self.events.extend(events)

    def _add(
        self,
        operation: str,
        key: Key,
        arguments: Wire,
        expressions: Mapping[str, Expression | None],
        refusal: Refusal,
    ) -> None:
        arguments |= arguments_of(expressions)
        if expressions.get("ConditionExpression"):
            arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        self.actions.append(Action(operation, key, arguments, refusal))
