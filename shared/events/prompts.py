"""Events of prompts, which the agents service owns. An event holds the key of a template in the bucket and its hash."""

from typing import ClassVar

from shared.events.agents import AgentEvent


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
