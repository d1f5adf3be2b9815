"""Fixtures of a tenant: every kind of resource, created by its owner through the API, with the tenant's canary."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.api import ApiResponse
from shared.ids import ULID
from shared.tenancy.permissions import Role
from tests.isolation.operation import Operation
from tests.isolation.request import ApiAccess, Caller, Request
from tests.isolation.request_body import ValueUndetermined, body_of

_ID = re.compile(rf"[a-z]+_{ULID}")
TENANT = "tenant_id"


class OwnerRequestFailed(AssertionError):
    """The owner's request failed or cannot be generated. Add a recipe to `recipes`.

    Args:
        message: the request and its response.
        status: of the response; None without one.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class TenantFixture:
    """A tenant with its resources.

    Args:
        api: the access to the API.
        operations: all operations of the API.
        tenant_id: the tenant.
        canary: the text in all free texts of its resources.
    """

    api: ApiAccess
    operations: Sequence[Operation]
    tenant_id: str
    canary: str
    known: dict[str, str] = field(default_factory=dict[str, str])
    """An existing value for each path parameter."""
    requests: dict[str, Request] = field(default_factory=dict[str, Request])
    """The owner's request for each operation, which must succeed."""
    keyed_requests: dict[str, tuple[Request, ApiResponse]] = field(
        default_factory=dict[str, tuple[Request, ApiResponse]]
    )
    """Requests that were sent with an Idempotency-Key, with their responses."""
    cursors: dict[str, str] = field(default_factory=dict[str, str])
    """The cursor of the second page of each list."""
    ids: set[str] = field(default_factory=set[str])
    names_generated: int = 0
    """The number of unique names that were generated."""

    @property
    def data_pattern(self) -> re.Pattern[str]:
        """The pattern of the tenant's data, which no other tenant may see."""
        texts = "|".join(re.escape(text) for text in sorted({self.canary, *self.ids}))
        return re.compile(rf"{texts}|(?<![\w-]){re.escape(self.tenant_id)}(?![\w-])")

    @property
    def next_number(self) -> int:
        """A number that differs at each access."""
        self.names_generated += 1
        return self.names_generated

    def owner(self, operation: Operation) -> Caller:
        """Return a user of this tenant with the least sufficient role."""
        min_role = operation.min_role or Role.OBSERVER
        return Caller(None if min_role is Role.PLATFORM_ADMIN else self.tenant_id, min_role)

    def send(self, request: Request) -> ApiResponse:
        """Send a request of the owner and collect the ids in its response."""
        response = self.api.send(request)
        if response.status not in request.operation.statuses:
            msg = f"{request.operation.name} with {request.body}: {response.status} {response.body}"
            raise OwnerRequestFailed(msg, status=response.status)
        self.ids |= set(_ID.findall(f"{response.body} {response.headers}"))
        return response

    def request(self, operation: Operation, **known: str) -> Request:
        """Return the owner's request, generated from the document alone.

        Raises:
            OwnerRequestFailed: the document does not determine the request.
        """
        values = {**self.known, **known, TENANT: self.tenant_id}
        missing = [name for name in operation.path_parameters if name not in values]
        if missing:
            msg = f"No values are known for {missing} in {operation.name}."
            raise OwnerRequestFailed(msg)
        parameters = {name: values[name] for name in operation.path_parameters}
        return Request(operation, parameters, self.owner(operation), self._body(operation, values))

    def create(self, operation: Operation, **known: str) -> dict[str, str]:
        """Create a resource by this operation and return the path parameters of the resource."""
        response = self.send(self.request(operation, **known))
        self.api.deliver_events()
        return dict(self._path_values(operation, response))

    def creator_of(self, operation: Operation) -> Operation | None:
        """Return the operation that creates the resource of this one."""
        collection = operation.path.rpartition("/{")[0]
        return next(
            (creator for creator in self.operations if creator.creates_resource and creator.path == collection), None
        )

    def create_all(self, creators: Iterable[Operation]) -> None:
        """Create two resources of each kind, the second with an Idempotency-Key, in an order that respects references.

        Raises:
            OwnerRequestFailed: no order allows an operation.
        """
        remaining = list(creators)
        while remaining:
            ready = [operation for operation in remaining if self._is_ready(operation)]
            if not ready:
                msg = f"These operations need a recipe: {[operation.name for operation in remaining]}."
                raise OwnerRequestFailed(msg)
            for operation in ready:
                self._create_pair(operation)
                remaining.remove(operation)

    def find_cursors(self) -> None:
        """Collect the cursor of the second page of every list."""
        for operation in self.operations:
            if "next_token" in operation.queries and TENANT in operation.path_parameters:
                first = self.request(operation).with_query(limit="1")
                self.api.deliver_events(lambda first=first: self._next_token(first) is not None)
                self.cursors[operation.name] = str(self._next_token(first))

    def _next_token(self, first: Request) -> str | None:
        return self.send(first).body["pagination"]["nextToken"]

    def _create_pair(self, operation: Operation) -> None:
        for name, value in self.create(operation).items():
            self.known.setdefault(name, value)
        request = self.request(operation).with_headers(Idempotency_Key=f"key of {self.tenant_id} to {operation.name}")
        self.keyed_requests[operation.name] = (request, self.send(request))
        self.api.deliver_events()

    def _is_ready(self, operation: Operation) -> bool:
        try:
            self.request(operation)
        except OwnerRequestFailed:
            return False
        return True

    def _path_values(self, operation: Operation, response: ApiResponse) -> Iterator[tuple[str, str]]:
        """Yield the values in a resource that are parameters of paths below it."""
        paths = [other.path for other in self.operations if other.path.startswith(f"{operation.path}/{{")]
        names = {path.removeprefix(f"{operation.path}/{{").partition("}")[0] for path in paths}
        resources: list[dict[str, Any]] = [part for part in response.body.values() if isinstance(part, dict)]
        yield from ((name, str(part[name])) for part in resources for name in names if name in part)

    def _body(self, operation: Operation, known: dict[str, str]) -> Any:  # noqa: ANN401 — any JSON
        if operation.body is None:
            return None
        references = {name: value for name, value in known.items() if name != TENANT}
        try:
            return body_of(operation.body, canary=self.canary, known=references)
        except ValueUndetermined as error:
            msg = f"The body of {operation.name} needs {error}."
            raise OwnerRequestFailed(msg) from error
