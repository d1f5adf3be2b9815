"""Lambda's context objects."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remaining:
    """The context of an invocation with this many seconds left."""

    seconds: float

    def get_remaining_time_in_millis(self) -> int:
        """As Lambda's."""
        return int(self.seconds * 1000)
