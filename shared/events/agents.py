"""Events of the agents service. An event holds the key of a configuration or template in the bucket, and its hash."""

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


class PromptState(AgentEvent):
    """The full state of a prompt, for services that keep a copy."""

    prompt_id: str
    project_id: str | None = None
    live_version: int
    latest_version: int


class PromptCreated(PromptState):
    """A prompt was created, and its first version is live."""

    TYPE: ClassVar[str] = "prompt.created.v1"


class PromptUpdated(PromptState):
    """The name, description, project or latest version of a prompt changed."""

    TYPE: ClassVar[str] = "prompt.updated.v1"


class PromptAliasMoved(PromptState):
    """Another version of a prompt became live."""

    TYPE: ClassVar[str] = "prompt.alias_moved.v1"


class PromptDeleted(AgentEvent):
    """A prompt was deleted. Runs that are pinned to a version of it continue; new ones are refused."""

    TYPE: ClassVar[str] = "prompt.deleted.v1"

    prompt_id: str


class PromptVersionPublished(AgentEvent):
    """A version was published and is immutable from then on; the subject is `<prompt_id>:<version>`."""

    TYPE: ClassVar[str] = "prompt.version_published.v1"

    prompt_id: str
    version: int
    template_key: str
    """The key of the template in the artifacts bucket."""
    template_sha256: str
