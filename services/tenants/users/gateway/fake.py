"""A user pool in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from services.tenants.errors import AddressTaken, UserOfAnotherTenant
from services.tenants.users.gateway.user_pool import PoolUser, PoolUserAttributes, PoolUserIds


@dataclass
class FakeUserPool:
    """A fake user pool that behaves as Cognito, but cannot authenticate users."""

    users: dict[str, PoolUserAttributes] = field(default_factory=dict[str, PoolUserAttributes])
    """Users by address."""
    disabled: set[str] = field(default_factory=set[str])
    """The addresses of disabled users."""
    names: dict[str, str] = field(default_factory=dict[str, str])
    """Usernames that differ from the address, by address."""

    def ensure(self, user: PoolUserAttributes, *, temporary_password: str | None) -> PoolUserIds:  # noqa: ARG002 — the fake has no sign-in
        """See `UserPool.ensure`."""
        existing = self.users.get(user.email)
        if existing and existing.tenant_id != user.tenant_id:
            raise UserOfAnotherTenant
        if existing is None and user.email in self.names.values():
            self.names[user.email] = f"{user.email}-{len(self.names)}"
        self.users.setdefault(user.email, user)
        name = self._name(user.email)
        return PoolUserIds(_sub(name), name, created=existing is None)

    def find(self, email: str) -> PoolUser | None:
        """See `UserPool.find`."""
        user = self.users.get(email)
        return self._shown(user) if user else None

    def address_of(self, username: str) -> str | None:
        """See `UserPool.address_of`."""
        return self._address(username)

    def page(self, token: str | None) -> tuple[list[PoolUser], str | None]:
        """See `UserPool.page`. A page has two users."""
        start = int(token or 0)
        users = [self._shown(user) for user in self.users.values()]
        return users[start : start + 2], str(start + 2) if start + 2 < len(users) else None

    def all(self) -> Iterator[PoolUser]:
        """See `UserPool.all`."""
        return iter([self._shown(user) for user in self.users.values()])

    def update(self, username: str, user: PoolUserAttributes) -> None:
        """See `UserPool.update`."""
        address = self._address(username)
        if address is None:
            return
        existing = self.users[address]
        self.users[address] = replace(existing, role=user.role, plan=user.plan or existing.plan, features=user.features)
        if user.email != address:
            self._move(address, user.email)

    def disable(self, username: str) -> None:
        """See `UserPool.disable`."""
        address = self._address(username)
        if address:
            self.disabled.add(address)

    def remove(self, username: str) -> None:
        """See `UserPool.remove`."""
        address = self._address(username)
        if address:
            self.users.pop(address)
            self.names.pop(address, None)
            self.disabled.discard(address)

    def _move(self, address: str, email: str) -> None:
        if email in self.users:
            raise AddressTaken
        self.names[email] = self._name(address)
        self.names.pop(address, None)
        self.users[email] = replace(self.users.pop(address), email=email)
        if address in self.disabled:
            self.disabled = self.disabled - {address} | {email}

    def _name(self, address: str) -> str:
        return self.names.get(address, address)

    def _address(self, username: str) -> str | None:
        return next((address for address in self.users if self._name(address) == username), None)

    def _shown(self, user: PoolUserAttributes) -> PoolUser:
        return PoolUser(
            user_id=_sub(self._name(user.email)),
            username=self._name(user.email),
            email=user.email,
            tenant_id=user.tenant_id,
            role=user.role,
            features=user.features,
            enabled=user.email not in self.disabled,
        )


def _sub(name: str) -> str:
    return f"sub-of-{name}"
