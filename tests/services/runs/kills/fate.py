"""Faults at the steps of a function: calls to the database, the bucket, a model or a function."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from botocore.exceptions import ReadTimeoutError

T = TypeVar("T")


class Moment(StrEnum):
    """The moment of a fault."""

    BEFORE = "before"
    """The function dies before the step."""
    AFTER = "after"
    """The function dies after the step, before its response."""
    UNHEARD = "unheard"
    """A write succeeds, but its response is lost."""


class Killed(BaseException):
    """The function has died."""


@dataclass
class Fate:
    """One fault.

    Args:
        at: the step, from 1, counted over all functions; 0: nothing happens.
        moment: before or after it.
    """

    at: int = 0
    moment: Moment = Moment.BEFORE
    steps: list[str] = field(default_factory=list[str])
    """The names of the executed steps."""

    def execute(self, step: str, do: Callable[[], T]) -> T:
        """Execute a step, unless the function dies.

        Raises:
            Killed: the function dies.
            ReadTimeoutError: it is unknown whether the step was executed.
        """
        self.steps.append(step)
        hit = len(self.steps) == self.at
        if hit and self.moment is Moment.BEFORE:
            raise Killed
        result = do()
        if hit and self.moment is Moment.AFTER:
            raise Killed
        if hit and self.moment is Moment.UNHEARD:
            raise ReadTimeoutError(endpoint_url=step)
        return result


class Mortal:
    """A client whose calls are steps of a function.

    Args:
        client: does the work.
        fate: of the function.
    """

    def __init__(self, client: Any, fate: Fate) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._fate = fate

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Return the operation as a step."""
        call = getattr(self._client, operation)

        def step(**arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
            return self._fate.execute(operation, lambda: call(**arguments))

        return step
