"""An atomic change of a slice: all of its actions are applied, or none."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import ChangedMeanwhile
from shared.events.envelope import Event, EventData
from shared.storage.items import Item, Key, Value, Wire, item_to_wire, key_of

MAX_ACTIONS = 100
"""The maximum number of actions per transaction.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""

Refusal = Callable[[Item | None], Exception]
"""Returns the error of a failed condition, given the existing item, or None."""


@dataclass(frozen=True)
class Expression:
    """A condition or an update; `#name` represents an attribute and `:name` one of the values."""

    text: str
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])

    def arguments(self, parameter: str) -> Wire:
        """Return the request arguments of this expression."""
        return arguments_of({parameter: self})


def arguments_of(expressions: Mapping[str, Expression | None]) -> Wire:
    """Return the request arguments of several expressions with common names and values."""
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
    """The operation on one item of a transaction."""

    operation: str
    """`Put`, `Update`, `Delete` or `ConditionCheck`."""
    key: Key
    arguments: Wire
    refusal: Refusal


def refuse_with(error: Exception) -> Refusal:
    """Return a refusal with the same error for every item."""
    return lambda _: error


CHANGED = refuse_with(ChangedMeanwhile())
"""The refusal of an action that names none."""


class Transaction:
    """The actions and events of one change in one tenant's slice, which `Store.commit` applies.

    Args:
        tenant_id: the tenant.
        is_step: whether it only prepares or completes a change that another transaction records, or reverts the
            preparation; no change is recorded.
    """

    def __init__(self, tenant_id: str, *, is_step: bool = False) -> None:
        self.tenant_id = tenant_id
        self.is_step = is_step
        self.actions: list[Action] = []
        self.events: list[Event[EventData]] = []

    def put(self, item: Item, *, when: Expression | None = None, otherwise: Refusal = CHANGED) -> None:
        """Write a whole item."""
        arguments: Wire = {"Item": item_to_wire(item)}
        self._add("Put", key_of(item), arguments, {"ConditionExpression": when}, otherwise)

    def update(
        self, key: Key, change: Expression, *, when: Expression | None = None, otherwise: Refusal = CHANGED
    ) -> None:
        """Update some attributes of an item."""
        expressions = {"UpdateExpression": change, "ConditionExpression": when}
        self._add("Update", key, {"Key": key.wire}, expressions, otherwise)

    def delete(self, key: Key, *, when: Expression | None = None, otherwise: Refusal = CHANGED) -> None:
        """Delete an item."""
        self._add("Delete", key, {"Key": key.wire}, {"ConditionExpression": when}, otherwise)

    def check(self, key: Key, *, when: Expression, otherwise: Refusal = CHANGED) -> None:
        """Apply the transaction only if a condition holds for an item that it does not change."""
        self._add("ConditionCheck", key, {"Key": key.wire}, {"ConditionExpression": when}, otherwise)

    def emit(self, *events: Event[Any]) -> None:
        """Publish these events if and only if the transaction is applied."""
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
