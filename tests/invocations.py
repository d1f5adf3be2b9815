"""Fakes of Lambda's context object."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FakeLambdaContext:
    """The context of an invocation with this many seconds left."""

    seconds: float

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining time, as Lambda's context does."""
        return int(self.seconds * 1000)
