"""What the agents service says. The config itself lies in the bucket; an event names where, and its hash."""

from typing import ClassVar

from shared.events.envelope import EventData


class AgentEvent(EventData):
    """The owner of these events."""

    OWNER: ClassVar[str] = "agents"


class AgentState(AgentEvent):
    """The full state of an agent, for those who keep a copy."""

    agent_id: str
    project_id: str | None = None
    live_version: int
    latest_version: int


class AgentCreated(AgentState):
    """An agent exists, with its first version live."""

    TYPE: ClassVar[str] = "agent.created.v1"


class AgentUpdated(AgentState):
    """Its name, description, project or latest version changed."""

    TYPE: ClassVar[str] = "agent.updated.v1"


class AgentAliasMoved(AgentState):
    """Another version is live."""

    TYPE: ClassVar[str] = "agent.alias_moved.v1"


class AgentDeleted(AgentEvent):
    """The agent cannot be run any more."""

    TYPE: ClassVar[str] = "agent.deleted.v1"

    agent_id: str


class AgentVersionPublished(AgentEvent):
    """A version exists and will not change; the subject is `<agent_id>:<version>`."""

    TYPE: ClassVar[str] = "agent.version_published.v1"

    agent_id: str
    version: int
    config_key: str
    """Where the config lies in the artifacts bucket."""
    config_sha256: str
