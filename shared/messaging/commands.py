"""Direct invocations: what an operator, or another function of the same service, asks a function to do."""

import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.deadline import invocation
from shared.errors import AinexusError
from shared.http.errors import error_answer, from_validation
from shared.observability import continue_trace, report, trace_of_invocation
from shared.storage.audit import Change, recorded
from shared.times import utc_now

InputT = TypeVar("InputT", bound=BaseModel)
Answer = dict[str, Any]


class Commands:
    """The commands of one function, `{"command": "<name>", …input}`. Lambda calls the object itself."""

    def __init__(self) -> None:
        self._inputs: dict[str, type[BaseModel]] = {}
        self._handlers: dict[str, Callable[[Any], Answer]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All commands."""
        return tuple(self._handlers)

    def on(self, name: str, kind: type[InputT]) -> Callable[[Callable[[InputT], Answer]], Callable[[InputT], Answer]]:
        """Register the function that carries out a command."""

        def register(handler: Callable[[InputT], Answer]) -> Callable[[InputT], Answer]:
            self._inputs[name] = kind
            self._handlers[name] = handler
            return handler

        return register

    def __call__(self, event: dict[str, Any], context: object = None) -> Answer:
        """Carry out one command; an error of ours is an answer in the one error shape."""
        name = str(event.get("command"))
        continue_trace(trace_of_invocation())
        try:
            with invocation(context), recorded(_change(name, context)):
                answer = self._carry_out(name, event)
        except AinexusError as error:
            return error_answer(error, request_id="")[1]
        finally:
            report("command", {}, command=name)
        return answer

    def _carry_out(self, name: str, event: dict[str, Any]) -> Answer:
        handler = self._handlers.get(name)
        if handler is None:
            raise from_validation([{"type": "unknown_command", "loc": ("body", "command")}])
        given = {key: value for key, value in event.items() if key != "command"}
        try:
            asked = self._inputs[name].model_validate(given)
        except ValidationError as error:
            raise from_validation([dict(entry) for entry in error.errors()]) from error
        return handler(asked)


def _change(name: str, context: object) -> Change:
    """Who has invoked the function is known to CloudTrail, by the same request."""
    request_id = str(getattr(context, "aws_request_id", None) or uuid.uuid4())
    return Change(request_id, "operator", "", f"command {name}", "", "", utc_now())
