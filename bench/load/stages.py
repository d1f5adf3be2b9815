"""The stages of the load test.

This module imports nothing of this repository, because locust's environment imports it too.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadStage:
    """A period, and the number of users at its end. They change evenly, in `spike` and `after` at once."""

    name: str
    seconds: int
    users: int


STAGES = (
    LoadStage("warm-up", 15, 2),
    LoadStage("ramp", 30, 10),
    LoadStage("steady", 45, 10),
    LoadStage("spike", 20, 30),
    LoadStage("after", 20, 5),
)
"""Two minutes and ten seconds in total, with at most thirty users."""


def stage_at(seconds: float) -> LoadStage | None:
    """Return the stage at this time, or None after the last one."""
    for stage in STAGES:
        seconds -= stage.seconds
        if seconds < 0:
            return stage
    return None


def users_at(seconds: float) -> int:
    """Return the required number of users at this time."""
    before = 0
    for stage in STAGES:
        if seconds < stage.seconds:
            is_sudden = stage.name in {"spike", "after"}
            return stage.users if is_sudden else round(before + (stage.users - before) * seconds / stage.seconds) or 1
        seconds, before = seconds - stage.seconds, stage.users
    return 0
