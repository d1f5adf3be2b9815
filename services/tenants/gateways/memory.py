"""A user pool in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from services.tenants.errors import UserOfAnotherTenant
from services.tenants.gateways.identity import NewUser, PoolUser, SignIn


@dataclass
class FakeIdentity:
    """Behaves as the real one; nobody can sign in."""

    users: dict[str, NewUser] = field(default_factory=dict[str, NewUser])
    """By address."""
    disabled: set[str] = field(default_factory=set[str])

    def ensure(self, user: NewUser, *, temporary_password: str | None) -> SignIn:  # noqa: ARG002 — nobody signs in here
        """See `Identity.ensure`."""
        there = self.users.get(user.email)
        if there and there.tenant_id != user.tenant_id:
            raise UserOfAnotherTenant
        self.users.setdefault(user.email, user)
        return SignIn(_sub(user.email), user.email, created=there is None)

    def find(self, email: str) -> PoolUser | None:
        """See `Identity.find`."""
        user = self.users.get(email)
        return self._shown(user) if user else None

    def all(self) -> Iterator[PoolUser]:
        """See `Identity.all`."""
        return iter([self._shown(user) for user in self.users.values()])

    def update(self, username: str, user: NewUser) -> None:
        """See `Identity.update`."""
        if there := self.users.get(username):
            self.users[username] = replace(there, role=user.role, plan=user.plan or there.plan, features=user.features)

    def disable(self, username: str) -> None:
        """See `Identity.disable`."""
        if username in self.users:
            self.disabled.add(username)

    def remove(self, username: str) -> None:
        """See `Identity.remove`."""
        self.users.pop(username, None)
        self.disabled.discard(username)

    def _shown(self, user: NewUser) -> PoolUser:
        return PoolUser(
            user_id=_sub(user.email),
            username=user.email,
            email=user.email,
            tenant_id=user.tenant_id,
            role=user.role,
            features=user.features,
            enabled=user.email not in self.disabled,
        )


def _sub(email: str) -> str:
    return f"sub-of-{email}"
