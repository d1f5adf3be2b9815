"""API keys and their secrets, as the tenants service and the authorizer know them."""

from dataclasses import dataclass
from datetime import datetime

from shared.tenancy.permissions import Role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of a tenant."""

    api_key_id: str
    name: str
    prefix: str
    """The beginning of its current secret."""
    role: Role
    scopes: tuple[str, ...] | None
    """None: all that the role allows."""
    expires_at: datetime | None
    created_by: str
    """The principal that created it."""
    seq: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ApiSecret:
    """A secret of an API key. A key has two while it is rotated."""

    api_key_id: str
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None
    """The end of a rotation's overlap; None for the current secret."""
    last_used_at: datetime | None = None
    """Rounded down to the hour."""

    @property
    def secret_id(self) -> str:
        """The end of its sort key, which begins with its key's id."""
        return f"{self.api_key_id}#{self.sha256}"

    def is_valid(self, now: datetime) -> bool:
        """Return whether it has not expired."""
        return self.expires_at is None or now < self.expires_at
