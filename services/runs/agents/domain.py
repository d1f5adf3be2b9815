"""This service's copies of agents, which the agents service owns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.document_ref import DocumentRef
from shared.ids import EVENT_DELIVERY_WINDOW


@dataclass(frozen=True, slots=True)
class AgentCopy:
    """The copy of an agent."""

    agent_id: str
    seq: int
    project_id: str | None
    live_version: int
    latest_version: int
    deleted: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class VersionCopy:
    """The copy of a version. Versions are immutable."""

    agent_id: str
    version: int
    config: DocumentRef
    seq: int = 1
    """The number of the only event of a version."""


def may_be_in_transit(copy: AgentCopy, version: int, *, now: datetime) -> bool:
    """Return whether the event of this unknown version may still be under way."""
    return version > copy.latest_version or now - copy.received_at < EVENT_DELIVERY_WINDOW


class Configs(Protocol):
    """The configs of agent versions, which are immutable."""

    def read(self, tenant_id: str, stored: DocumentRef) -> Mapping[str, Any]:
        """Return the config of this reference."""
        ...
