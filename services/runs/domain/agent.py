"""What this service knows of agents, which another service owns."""

from dataclasses import dataclass
from datetime import datetime

from shared.ids import NEWS_TAKES
from shared.stored import Stored


@dataclass(frozen=True, slots=True)
class AgentCopy:
    """An agent as this service heard of it."""

    agent_id: str
    seq: int
    project_id: str | None
    live_version: int
    latest_version: int
    deleted: bool
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class VersionCopy:
    """A version, which never changes."""

    agent_id: str
    version: int
    config: Stored


def may_be_coming(copy: AgentCopy, version: int, *, now: datetime) -> bool:
    """Whether this unknown version may have been published a moment ago."""
    return version > copy.latest_version or now - copy.heard_at < NEWS_TAKES
