"""Errors of agents, their versions and provider keys."""

from collections.abc import Sequence

from shared.errors import ChangedMeanwhile, Conflict, DependencyUnavailable, Detail, InvalidRequest, NotFound


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


class PromptNotFound(NotFound):
    """The tenant has no prompt with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such prompt.")


class PromptVersionNotFound(NotFound):
    """The prompt has no version with this number."""

    def __init__(self) -> None:
        super().__init__("There is no such version of this prompt.")


class PromptChangedMeanwhile(ChangedMeanwhile):
    """Another request changed the prompt after it was read."""

    def __init__(self) -> None:
        super().__init__("The prompt was changed at the same time; read it again and try once more.")


class UnknownPrompt(InvalidRequest):
    """A config names a prompt that does not exist or was deleted."""

    def __init__(self, *, field: str) -> None:
        super().__init__("The request is not valid.", [Detail(field, "there is no such prompt")])


class UnknownPromptVersion(InvalidRequest):
    """The version of a prompt was never published."""

    def __init__(self, *, field: str) -> None:
        super().__init__("The request is not valid.", [Detail(field, "there is no such version of this prompt")])


class UnknownVariables(InvalidRequest):
    """Values are given for names that the template does not use.

    Args:
        names: the names.
        field: the path of the values in the request.
    """

    def __init__(self, names: Sequence[str], *, field: str) -> None:
        details = [Detail(f"{field}.{name}", "the prompt has no such variable") for name in names]
        super().__init__("The request is not valid.", details)


class LintNotFound(NotFound):
    """The tenant has no lint with this id, or it has expired."""

    def __init__(self) -> None:
        super().__init__("There is no such lint. Lints are kept for 90 days.")


class LintNotFixable(InvalidRequest):
    """The lint examined a config that is not stored, so no version of it can be published."""

    def __init__(self) -> None:
        super().__init__("Only lints of agents and prompts can be fixed. Apply the patches of this one to its config.")


class FindingUnknown(InvalidRequest):
    """The linted version has no finding with this id.

    Args:
        finding_id: the id.
    """

    def __init__(self, finding_id: str) -> None:
        message = f"{finding_id} is no finding of this version; lint it again"
        super().__init__("The request is not valid.", [Detail("finding_ids", message)])


class FindingNotFixable(InvalidRequest):
    """The finding has no fix that can be applied without a person.

    Args:
        finding_id: the id.
    """

    def __init__(self, finding_id: str) -> None:
        super().__init__("The request is not valid.", [Detail("finding_ids", f"{finding_id} has no fix")])


class FixedConfigInvalid(Conflict):
    """The config with the fixes would not be valid."""

    def __init__(self) -> None:
        super().__init__("The config with these fixes would not be valid. Apply fewer of them.")


class VersionHasErrors(InvalidRequest):
    """The tenant's gate keeps a version with lint errors from going live.

    Args:
        findings: the path and the message of each error.
    """

    def __init__(self, findings: Sequence[tuple[str, str]]) -> None:
        details = [Detail(field, message) for field, message in findings]
        super().__init__("This version has lint errors, and `lint_gate` of the tenant blocks them.", details)
