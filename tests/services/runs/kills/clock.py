"""A clock that only tests advance."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.services.runs.examples import NOW

BEGINNING = NOW + timedelta(hours=1)
"""A time at which the agent is no longer fresh."""


@dataclass
class Clock:
    """A clock that only tests advance."""

    now: datetime = BEGINNING

    def wait(self, **time: float) -> None:
        """Advance the clock."""
        self.now += timedelta(**time)
