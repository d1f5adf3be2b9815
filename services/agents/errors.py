"""Errors of agents, their versions and provider keys."""

from shared.errors import ChangedMeanwhile, DependencyUnavailable, Detail, InvalidRequest, NotFound


class AgentNotFound(NotFound):
    """The tenant has no agent with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such agent.")


class VersionNotFound(NotFound):
    """The agent has no version with this number."""

    def __init__(self) -> None:
        super().__init__("There is no such version of this agent.")


class UnknownVersion(InvalidRequest):
    """The version that should go live was never published."""

    def __init__(self) -> None:
        super().__init__("The request is not valid.", [Detail("version", "there is no such version of this agent")])


class UnknownProject(InvalidRequest):
    """The project does not exist or was deleted."""

    def __init__(self) -> None:
        super().__init__("The request is not valid.", [Detail("project_id", "there is no such project")])


class AgentChangedMeanwhile(ChangedMeanwhile):
    """Another request changed the agent after it was read."""

    def __init__(self) -> None:
        super().__init__("The agent was changed at the same time; read it again and try once more.")


class BaseUrlNotAllowed(InvalidRequest):
    """A config or key may not name this server in this environment.

    Args:
        field: the path of the field in the request.
        message: the rule that the URL breaks.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__("The request is not valid.", [Detail(field, message)])


class ModelNotAllowed(InvalidRequest):
    """A config names a model that no provider is known for, or whose prefix contradicts the config.

    Args:
        field: the path of the field in the request.
        message: the rule that the name breaks.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__("The request is not valid.", [Detail(field, message)])


class UnknownProvider(NotFound):
    """Tenants cannot store a key of their own for this provider."""

    def __init__(self) -> None:
        super().__init__("There is no such provider.")


class ProviderKeyNotFound(NotFound):
    """The tenant has no key of its own for this provider."""

    def __init__(self) -> None:
        super().__init__("There is no key for this provider.")


class VaultUnavailable(DependencyUnavailable):
    """Secrets Manager cannot store or delete the key now."""

    def __init__(self) -> None:
        super().__init__("The key store is unavailable. Try again.", retry_after_s=1)
