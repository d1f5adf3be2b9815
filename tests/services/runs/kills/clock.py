"""Time that passes only when it is told to."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.services.runs.runs import NOW

BEGINNING = NOW + timedelta(hours=1)
"""When the agent is not fresh any more."""


@dataclass
class Clock:
    """Time that passes only when it is told to."""

    now: datetime = BEGINNING

    def wait(self, **time: float) -> None:
        """Let so much pass."""
        self.now += timedelta(**time)
