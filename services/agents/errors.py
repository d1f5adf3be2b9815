"""What can go wrong with agents and their versions."""

from shared.errors import Conflict, DependencyUnavailable, Detail, InvalidRequest, NotFound


class AgentNotFound(NotFound):
    """There is no such agent in this tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such agent.")


class VersionNotFound(NotFound):
    """The agent has no such version."""

    def __init__(self) -> None:
        super().__init__("There is no such version of this agent.")


class UnknownVersion(InvalidRequest):
    """The version that is to be live was never published."""

    def __init__(self) -> None:
        super().__init__("The request is not valid.", [Detail("version", "there is no such version of this agent")])


class UnknownProject(InvalidRequest):
    """The project that the agent is to be in does not exist, or not any more."""

    def __init__(self) -> None:
        super().__init__("The request is not valid.", [Detail("project_id", "there is no such project")])


class AgentChangedMeanwhile(Conflict):
    """Somebody else changed the agent between the reading and the writing."""

    def __init__(self) -> None:
        super().__init__("The agent was changed at the same time; read it again and try once more.")


class AddressNotAllowed(InvalidRequest):
    """The address is not one that may be named here.

    Args:
        field: where it stands in the request.
        message: what it must be.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__("The request is not valid.", [Detail(field, message)])


class UnknownProvider(NotFound):
    """No tenant has a key of its own for this provider."""

    def __init__(self) -> None:
        super().__init__("There is no such provider.")


class ProviderKeyNotFound(NotFound):
    """The tenant has no key of its own for this provider."""

    def __init__(self) -> None:
        super().__init__("There is no key for this provider.")


class VaultUnavailable(DependencyUnavailable):
    """Keys cannot be stored or removed now."""

    def __init__(self) -> None:
        super().__init__("Keys cannot be changed now.", retry_after_s=1)
