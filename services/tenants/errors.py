"""What can go wrong with tenants, users and projects."""

from shared.errors import Conflict, DependencyUnavailable, LimitReached, NotFound


class TenantNotFound(NotFound):
    """There is no such tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such tenant.")


class TenantExists(Conflict):
    """The slug is taken, now or by a tenant that was."""

    def __init__(self) -> None:
        super().__init__("There is a tenant with this id.")


class ProjectNotFound(NotFound):
    """There is no such project in this tenant."""

    def __init__(self) -> None:
        super().__init__("There is no such project.")


class ProjectLimitReached(LimitReached):
    """The tenant has as many projects as its plan allows."""

    def __init__(self) -> None:
        super().__init__("The plan allows no more projects.")


class UserLimitReached(LimitReached):
    """The tenant has as many users as its plan allows."""

    def __init__(self) -> None:
        super().__init__("The plan allows no more users.")


class UserOfAnotherTenant(Conflict):
    """The address belongs to a user of another tenant."""

    def __init__(self) -> None:
        super().__init__("This address cannot be used.")


class IdentityUnavailable(DependencyUnavailable):
    """The user pool does not answer."""

    def __init__(self) -> None:
        super().__init__("The user pool does not answer.", retry_after_s=1)
