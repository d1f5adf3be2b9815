"""The user pool: who can sign in, and what their tokens will say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from shared.tenancy.permissions import Role


@dataclass(frozen=True, slots=True)
class NewUser:
    """Someone who is to be able to sign in."""

    email: str
    role: Role
    tenant_id: str | None
    """None for a platform admin."""
    plan: str | None = None
    features: tuple[str, ...] | None = None
    """What the tokens will grant; None: all of the tenant's features."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Someone who can sign in."""

    user_id: str
    """The `sub` of the tokens."""
    username: str
    """What the pool knows them by."""
    created: bool


@dataclass(frozen=True, slots=True)
class PoolUser:
    """Someone as the pool has them, however they came there."""

    user_id: str
    username: str
    email: str
    tenant_id: str | None
    role: str | None
    features: tuple[str, ...] | None
    enabled: bool


class Identity(Protocol):
    """What this service asks of the user pool. All of it may be asked again.

    Every method raises `IdentityUnavailable` when the pool does not answer.
    """

    def ensure(self, user: NewUser, *, temporary_password: str | None) -> SignIn:
        """Make the user unless it is there.

        Args:
            user: who.
            temporary_password: to be changed at the first sign-in; None lets the pool make one up.

        Raises:
            UserOfAnotherTenant: the address is taken.
            AddressNotValid: the pool takes it for none.
        """
        ...

    def find(self, email: str) -> PoolUser | None:
        """The user with this address, or None."""
        ...

    def all(self) -> Iterator[PoolUser]:
        """Everybody in the pool."""
        ...

    def update(self, username: str, user: NewUser) -> None:
        """Let the next token say this; of somebody who is not there nothing is said."""
        ...

    def disable(self, username: str) -> None:
        """No sign-in and no refresh from now on; the id tokens that are out end within 15 minutes."""
        ...

    def remove(self, username: str) -> None:
        """As `disable`, and nothing is left of the user."""
        ...
