"""What can happen to a function at each of its steps: calls to the database, the bucket, a model, another function."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from botocore.exceptions import ReadTimeoutError

T = TypeVar("T")


class Moment(StrEnum):
    """When it happens."""

    BEFORE = "before"
    """The function is gone, and the step was not taken."""
    AFTER = "after"
    """The step was taken, and the function is gone before it hears of that."""
    UNHEARD = "unheard"
    """A write was carried out, and the function lives, but hears no answer."""


class Killed(BaseException):
    """The function is gone; nothing of it runs any more."""


@dataclass
class Fate:
    """What is to happen, once.

    Args:
        at: the step, from 1, counted over all functions; 0: nothing happens.
        moment: before or after it.
    """

    at: int = 0
    moment: Moment = Moment.BEFORE
    steps: list[str] = field(default_factory=list[str])
    """Those that were taken, by name."""

    def take(self, step: str, do: Callable[[], T]) -> T:
        """Take a step, unless this is the end.

        Raises:
            Killed: it is.
            ReadTimeoutError: nobody knows whether it was taken.
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
        """The operation, as a step."""
        call = getattr(self._client, operation)

        def step(**arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
            return self._fate.take(operation, lambda: call(**arguments))

        return step
