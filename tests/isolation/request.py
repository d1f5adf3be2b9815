"""A request of somebody, before it is known by which way it goes."""

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
    """A user, by what the token says of it."""

    tenant_id: str | None
    role: Role
    number: int = 0
    """Several users of a tenant may have the same role."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of an operation."""

    operation: Operation
    parameters: Mapping[str, str]
    """What stands for the names in the path."""
    caller: Caller | None = None
    """None: without a token."""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    token: Any = None
    """Instead of the caller's: whatever this way takes for one."""

    def by(self, caller: Caller | None) -> Self:
        """The same in another's name."""
        return replace(self, caller=caller)

    def at(self, **parameters: str) -> Self:
        """The same with other parts of the path."""
        return replace(self, parameters={**self.parameters, **parameters})

    def given(self, **headers: str) -> Self:
        """The same with these headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})

    def asking(self, **query: str) -> Self:
        """The same with these query parameters."""
        return replace(self, query={**self.query, **query})


class Way(Protocol):
    """A way into the API."""

    def send(self, request: Request) -> ApiResponse:
        """Send a request."""
        ...

    def settle(self, until: Callable[[], bool] = lambda: True) -> None:
        """Let all events arrive; at the end this must hold."""
        ...

    def store(self, owned: Slice) -> Store:
        """A slice of all tenants, for what no route makes."""
        ...

    def pay(self, url: str) -> None:
        """Do what a person does on the page of a checkout."""
        ...

    def forgeries(self, victim: Caller, attacker: Caller) -> Mapping[str, Any]:
        """Tokens that must not be taken for the victim's, by name; `attacker` is whose own one is good."""
        ...
