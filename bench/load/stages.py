"""The stages of the load; of this repository it imports nothing, since the load's own environment reads it too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stretch of time with a number of users at its end, who come or go evenly."""

    name: str
    seconds: int
    users: int


STAGES = (
    Stage("warm-up", 15, 2),
    Stage("ramp", 30, 10),
    Stage("steady", 45, 10),
    Stage("spike", 20, 30),
    Stage("after", 20, 5),
)
"""Two minutes and ten seconds, with never more than thirty users."""


def stage_at(seconds: float) -> Stage | None:
    """The stage of this moment; None when all are over."""
    for stage in STAGES:
        seconds -= stage.seconds
        if seconds < 0:
            return stage
    return None


def users_at(seconds: float) -> int:
    """How many users there are to be."""
    before = 0
    for stage in STAGES:
        if seconds < stage.seconds:
            is_sudden = stage.name in {"spike", "after"}
            return stage.users if is_sudden else round(before + (stage.users - before) * seconds / stage.seconds) or 1
        seconds, before = seconds - stage.seconds, stage.users
    return 0
