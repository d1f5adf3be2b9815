"""Interface of the user pool, which authenticates users and issues their tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from shared.tenancy.permissions import Role


@dataclass(frozen=True, slots=True)
class PoolUserAttributes:
    """The attributes of a user in the pool."""

    email: str
    role: Role
    tenant_id: str | None
    """None for a platform admin."""
    plan: str | None = None
    features: tuple[str, ...] | None = None
    """The subset of the tenant's features that the tokens grant. None grants all."""


@dataclass(frozen=True, slots=True)
class PoolUserIds:
    """The identifiers of a user in the pool."""

    user_id: str
    """The `sub` claim of the tokens."""
    username: str
    """The user's name in the pool."""
    created: bool


@dataclass(frozen=True, slots=True)
class PoolUser:
    """A user as stored in the pool, whether created by this service or with AWS tools."""

    user_id: str
    username: str
    email: str
    tenant_id: str | None
    role: str | None
    features: tuple[str, ...] | None
    enabled: bool


class UserPool(Protocol):
    """The operations on the user pool. All are idempotent.

    Every method raises `UserPoolUnavailable` when the pool does not answer. An error of the pool's client is a refusal
    that concerns this user alone.
    """

    def ensure(self, user: PoolUserAttributes, *, temporary_password: str | None) -> PoolUserIds:
        """Create the user if it does not exist.

        Args:
            user: the user.
            temporary_password: the password to change at the first sign-in. With None the pool generates one.

        Raises:
            UserOfAnotherTenant: the address belongs to a user of another tenant.
            AddressNotValid: the pool refuses the address.
        """
        ...

    def find(self, email: str) -> PoolUser | None:
        """Return the user with this address, or None.

        Raises:
            AddressNotValid: the pool does not accept the address.
        """
        ...

    def address_of(self, username: str) -> str | None:
        """Return the address that the pool has for a user; None if the user does not exist."""
        ...

    def page(self, token: str | None) -> tuple[list[PoolUser], str | None]:
        """Return a page of the pool's users and the token of the next page, which is None after the last one."""
        ...

    def all(self) -> Iterator[PoolUser]:
        """Return all users of the pool."""
        ...

    def update(self, username: str, user: PoolUserAttributes) -> None:
        """Set the user's address, role, plan and features, which new tokens contain. A missing user is ignored.

        Role, plan and features are set even if the address is refused.

        Raises:
            AddressTaken: the address belongs to another user.
            AddressNotValid: the pool refuses the address.
        """
        ...

    def disable(self, username: str) -> None:
        """Prevent sign-in and token refresh. Id tokens that were issued before expire within 15 minutes."""
        ...

    def remove(self, username: str) -> None:
        """Delete the user from the pool, with the same effect on tokens as `disable`."""
        ...
