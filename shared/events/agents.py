"""Events of the agents service. An event holds the key of a configuration in the bucket and its hash."""

from typing import ClassVar

from shared.events.envelope import EventData


class AgentEvent(EventData):
    """Base of the events of the agents service."""

    OWNER: ClassVar[str] = "agents"


class AgentState(AgentEvent):
    """The full state of an agent, for services that keep a copy."""

    agent_id: str
    project_id: str | None = None
    live_version: int
    latest_version: int


class AgentCreated(AgentState):
    """An agent was created, and its first version is live."""

    TYPE: ClassVar[str] = "agent.created.v1"


class AgentUpdated(AgentState):
    """The name, description, project or latest version of an agent changed."""

    TYPE: ClassVar[str] = "agent.updated.v1"


class AgentAliasMoved(AgentState):
    """Another version of an agent became live."""

    TYPE: ClassVar[str] = "agent.alias_moved.v1"


class AgentDeleted(AgentEvent):
    """An agent was deleted and can no longer be run."""

    TYPE: ClassVar[str] = "agent.deleted.v1"

    agent_id: str


class AgentVersionPublished(AgentEvent):
    """A version was published and is immutable from then on; the subject is `<agent_id>:<version>`."""

    TYPE: ClassVar[str] = "agent.version_published.v1"

    agent_id: str
    version: int
    config_key: str
    """The key of the configuration in the artifacts bucket."""
    config_sha256: str
