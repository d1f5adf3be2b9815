"""Requests of callers, independent of the access to the API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from cli.api import ApiResponse
from shared.declaration import Slice
from shared.storage.store import Store
from shared.tenancy.permissions import Role
from tests.isolation.operation import Operation


@dataclass(frozen=True, slots=True)
class Caller:
    """A user with the claims of its token."""

    tenant_id: str | None
    role: Role
    number: int = 0
    """The number that distinguishes users of a tenant with the same role."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call of an operation."""

    operation: Operation
    parameters: Mapping[str, str]
    """The path parameters."""
    caller: Caller | None = None
    """None for a request without a token."""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    token: Any = None
    """A token instead of the caller's, in the format of the access."""

    def sent_by(self, caller: Caller | None) -> Self:
        """Return the same request by another caller."""
        return replace(self, caller=caller)

    def with_parameters(self, **parameters: str) -> Self:
        """Return the same request with other path parameters."""
        return replace(self, parameters={**self.parameters, **parameters})

    def with_headers(self, **headers: str) -> Self:
        """Return the same request with additional headers. An underscore in a name means a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})

    def with_query(self, **query: str) -> Self:
        """Return the same request with additional query parameters."""
        return replace(self, query={**self.query, **query})


class ApiAccess(Protocol):
    """Access to the API."""

    def send(self, request: Request) -> ApiResponse:
        """Send a request."""
        ...

    def deliver_events(self, until: Callable[[], bool] = lambda: True) -> None:
        """Deliver all events, until this condition is true."""
        ...

    def store(self, owned: Slice) -> Store:
        """Return a slice of all tenants, for resources that no route creates."""
        ...

    def pay(self, url: str) -> None:
        """Submit the page of a checkout as a browser does."""
        ...

    def forged_tokens(self, victim: Caller, attacker: Caller) -> Mapping[str, Any]:
        """Return tokens that must not be accepted as the victim's, by name. The attacker's own token is valid."""
        ...
