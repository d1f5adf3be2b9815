"""What can go wrong with tenants, users and projects."""

from shared.errors import Conflict, DependencyUnavailable, Detail, Forbidden, InvalidRequest, LimitReached, NotFound


class TenantNotFound(NotFound):
    """There is no such tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such tenant.")


class TenantGone(Forbidden):
    """The tenant was deleted; tokens of its users may outlive it by some minutes."""

    def __init__(self) -> None:
        super().__init__("The tenant was deleted.")


class TenantExists(Conflict):
    """The slug is taken, now or by a tenant that was."""

    def __init__(self) -> None:
        super().__init__("There is a tenant with this id, or there was one.")


class TenantChangedMeanwhile(Conflict):
    """Somebody else was faster, several times."""

    def __init__(self) -> None:
        super().__init__("The tenant was changed at the same time; read it again.")


class TenantNotSuspended(Conflict):
    """There is no operator's suspension to lift."""

    def __init__(self) -> None:
        super().__init__("No operator has suspended this tenant.")


class TenantBeingDeleted(Conflict):
    """The tenant goes, and cannot be changed any more."""

    def __init__(self) -> None:
        super().__init__("The tenant is being deleted.")


class OverageNeedsMeteredPlan(Conflict):
    """Nothing above the limits can be charged on this plan."""

    def __init__(self) -> None:
        super().__init__("The plan has no prices for usage, so its limits cannot be passed.")


class SettingsTooLarge(InvalidRequest):
    """The settings would be over their limit.

    Args:
        size_bytes: of all settings after the change.
        max_bytes: that they may have.
    """

    def __init__(self, size_bytes: int, max_bytes: int) -> None:
        msg = f"all settings together would have {size_bytes} bytes, and may have {max_bytes}; remove some with null"
        super().__init__("The request is not valid.", [Detail("settings", msg)])


class ExportNotFound(NotFound):
    """There is no such export of this tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such export.")


class ProjectNotFound(NotFound):
    """There is no such project in this tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such project.")


class ProjectLimitReached(LimitReached):
    """The tenant has as many projects as its plan allows."""

    def __init__(self) -> None:
        super().__init__("The plan allows no more projects.")


class UserNotFound(NotFound):
    """There is no such user in this tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such user.")


class UserExists(Conflict):
    """The address is a user of this tenant, or is just being removed."""

    def __init__(self) -> None:
        super().__init__("There is a user with this address.")


class UserNotActive(Conflict):
    """The user cannot sign in, so nothing about it can be changed."""

    def __init__(self) -> None:
        super().__init__("The user is disabled.")


class UserLimitReached(LimitReached):
    """The tenant has as many users as its plan allows."""

    def __init__(self) -> None:
        super().__init__("The plan allows no more users.")


class LastTenantAdmin(Conflict):
    """Nobody could administer the tenant any more."""

    def __init__(self) -> None:
        super().__init__("This is the tenant's last tenant_admin; make another one first.")


class UserOfAnotherTenant(Conflict):
    """The address belongs to a user of another tenant."""

    def __init__(self) -> None:
        super().__init__("This address cannot be used.")


class AddressNotValid(InvalidRequest):
    """The user pool takes the address for none."""

    def __init__(self) -> None:
        super().__init__("This is no address that somebody can sign in with.")


class IdentityUnavailable(DependencyUnavailable):
    """The user pool does not answer."""

    def __init__(self) -> None:
        super().__init__("The user pool does not answer.", retry_after_s=1)
