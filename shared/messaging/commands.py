"""Direct invocations: commands that operators, or functions of the same service, send to a function."""

import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.audit import recorded
from shared.edge import open_scope
from shared.errors import AinexusError
from shared.http.errors import error_response, from_validation
from shared.observability import report
from shared.scope import Change
from shared.times import utc_now

InputT = TypeVar("InputT", bound=BaseModel)
CommandResult = dict[str, Any]


class CommandRouter:
    """The commands of a capability. `Commands` executes those of several capabilities."""

    def __init__(self) -> None:
        self._inputs: dict[str, type[BaseModel]] = {}
        self._handlers: dict[str, Callable[[Any], CommandResult]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all commands."""
        return tuple(self._handlers)

    def on(
        self, name: str, kind: type[InputT]
    ) -> Callable[[Callable[[InputT], CommandResult]], Callable[[InputT], CommandResult]]:
        """Register the handler of a command."""

        def register(handler: Callable[[InputT], CommandResult]) -> Callable[[InputT], CommandResult]:
            self._inputs[name] = kind
            self._handlers[name] = handler
            return handler

        return register

    def include(self, *routers: "CommandRouter") -> None:
        """Add the commands of other routers."""
        for router in routers:
            self._inputs |= router._inputs
            self._handlers |= router._handlers


class Commands(CommandRouter):
    """The commands of one function, `{"command": "<name>", …input}`. Lambda calls the object itself.

    Args:
        routers: the commands, by capability.
    """

    def __init__(self, *routers: CommandRouter) -> None:
        super().__init__()
        self.include(*routers)

    def __call__(self, event: dict[str, Any], context: object = None) -> CommandResult:
        """Execute one command. An `AinexusError` is returned as a body in the error format."""
        name = str(event.get("command"))
        with open_scope(context), recorded(_change(name, context)):
            try:
                return self._execute(name, event)
            except AinexusError as error:
                return error_response(error, request_id="")[1]
            finally:
                report("command", {}, command=name)

    def _execute(self, name: str, event: dict[str, Any]) -> CommandResult:
        handler = self._handlers.get(name)
        if handler is None:
            raise from_validation([{"type": "value_error", "loc": ("body", "command"), "msg": "unknown command"}])
        given = {key: value for key, value in event.items() if key != "command"}
        try:
            asked = self._inputs[name].model_validate(given)
        except ValidationError as error:
            raise from_validation([dict(entry) for entry in error.errors()]) from error
        return handler(asked)


def _change(name: str, context: object) -> Change:
    """Return the record of a command. CloudTrail has the identity of the caller, with the same request id."""
    request_id = str(getattr(context, "aws_request_id", None) or uuid.uuid4())
    return Change(request_id, "operator", "", f"command {name}", "", "", utc_now())
