"""Errors of tenants, users and projects."""

from shared.errors import (
    ChangedMeanwhile,
    Conflict,
    DependencyUnavailable,
    Detail,
    Forbidden,
    InvalidRequest,
    LimitReached,
    NotFound,
    PreconditionFailed,
)


class TenantNotFound(NotFound):
    """No tenant has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such tenant.")


class TenantGone(Forbidden):
    """The tenant was deleted. Tokens of its users may remain valid for some minutes."""

    def __init__(self) -> None:
        super().__init__("The tenant was deleted.")


class TenantExists(Conflict):
    """The id belongs to a tenant or belonged to a deleted one."""

    def __init__(self) -> None:
        super().__init__("This tenant id is or was in use. Choose another id.")


class TenantChangedMeanwhile(ChangedMeanwhile):
    """Concurrent requests changed the tenant at every attempt."""

    def __init__(self) -> None:
        super().__init__("The tenant was changed at the same time; read it again.")


class TenantNotSuspended(Conflict):
    """No operator has suspended the tenant."""

    def __init__(self) -> None:
        super().__init__("No operator has suspended this tenant.")


class TenantBeingDeleted(Conflict):
    """The deletion of the tenant has begun, so it cannot be changed."""

    def __init__(self) -> None:
        super().__init__("The tenant is being deleted.")


class OverageNeedsMeteredPlan(Conflict):
    """The plan has no prices for usage above its limits."""

    def __init__(self) -> None:
        super().__init__("This plan does not support overage. Choose a plan with metered prices.")


class SettingsTooLarge(InvalidRequest):
    """The settings would exceed their limit.

    Args:
        size_bytes: the size of all settings after the change.
        max_bytes: the limit.
    """

    def __init__(self, size_bytes: int, max_bytes: int) -> None:
        msg = f"all settings together would have {size_bytes} bytes, and may have {max_bytes}; remove some with null"
        super().__init__("The request is not valid.", [Detail("settings", msg)])


class ExportNotFound(NotFound):
    """The tenant has no export with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such export.")


class ProjectNotFound(NotFound):
    """The tenant has no project with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such project.")


class ProjectChangedMeanwhile(PreconditionFailed):
    """Another request changed the project after it was read."""

    def __init__(self) -> None:
        super().__init__("The project was changed at the same time; read it again.")


class ProjectLimitReached(LimitReached):
    """The tenant has the maximum number of projects."""

    def __init__(self) -> None:
        super().__init__("The plan allows no more projects.")


class UserNotFound(NotFound):
    """The tenant has no user with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such user.")


class UserExists(Conflict):
    """The address belongs to a user of this tenant, possibly one who is being removed."""

    def __init__(self) -> None:
        super().__init__("There is a user with this address.")


class UserChangedMeanwhile(PreconditionFailed):
    """Another request changed the user after it was read."""

    def __init__(self) -> None:
        super().__init__("The user was changed at the same time; read it again.")


class UserNotActive(Conflict):
    """The user is disabled or being removed, so it cannot be changed."""

    def __init__(self) -> None:
        super().__init__("The user is disabled or being removed.")


class UserLimitReached(LimitReached):
    """The tenant has the maximum number of users."""

    def __init__(self) -> None:
        super().__init__("The plan allows no more users.")


class LastTenantAdmin(Conflict):
    """The change would leave the tenant without an admin."""

    def __init__(self) -> None:
        super().__init__("This is the tenant's last tenant_admin; make another one first.")


class UserOfAnotherTenant(Conflict):
    """The address belongs to a user of another tenant."""

    def __init__(self) -> None:
        super().__init__("This address cannot be used.")


class AddressTaken(Conflict):
    """The address belongs to another user of the pool."""

    def __init__(self) -> None:
        super().__init__("This address cannot be used.")


class AddressChanging(Conflict):
    """The user pool does not have the previous change of the address yet."""

    def __init__(self) -> None:
        super().__init__("The user's address is being changed. Try again in a few seconds.")


class AddressNotValid(InvalidRequest):
    """The user pool refuses the address as malformed."""

    def __init__(self) -> None:
        super().__init__("The address is not a valid sign-in address.")


class UserPoolUnavailable(DependencyUnavailable):
    """The user pool does not respond."""

    def __init__(self) -> None:
        super().__init__("The user pool is unavailable. Try again.", retry_after_s=1)


class LintGateInvalid(InvalidRequest):
    """The setting `lint_gate` has an unknown value."""

    def __init__(self) -> None:
        message = "must be off, warn or block"
        super().__init__("The request is not valid.", [Detail("settings.lint_gate", message)])
