"""What a tenant has, made by its owner through the API: something of everything, with the tenant's canary in it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.api import ApiResponse
from shared.ids import ULID
from shared.tenancy.permissions import Role
from tests.isolation.bodies import NothingFits, body_of
from tests.isolation.operation import Operation
from tests.isolation.request import Caller, Request, Way

_ID = re.compile(rf"[a-z]+_{ULID}")
TENANT = "tenant_id"


class NotMade(AssertionError):
    """The owner cannot do what it must be able to: say how in `recipes`."""


@dataclass
class Estate:
    """A tenant with all that it has.

    Args:
        way: into the API.
        operations: all of them.
        tenant_id: whose it is.
        canary: a text in everything of it that holds text.
    """

    way: Way
    operations: Sequence[Operation]
    tenant_id: str
    canary: str
    known: dict[str, str] = field(default_factory=dict[str, str])
    """Something to stand for each name in a path."""
    requests: dict[str, Request] = field(default_factory=dict[str, Request])
    """Its own request for each operation, which must succeed."""
    keyed: dict[str, tuple[Request, ApiResponse]] = field(default_factory=dict[str, tuple[Request, ApiResponse]])
    """Requests that were carried out with an Idempotency-Key, with their answers."""
    cursors: dict[str, str] = field(default_factory=dict[str, str])
    """Where the second page of each list begins."""
    ids: set[str] = field(default_factory=set[str])
    made: int = 0
    """How many names were given that may be given only once."""

    @property
    def marks(self) -> re.Pattern[str]:
        """What nobody else may see."""
        texts = "|".join(re.escape(text) for text in sorted({self.canary, *self.ids}))
        return re.compile(rf"{texts}|(?<![\w-]){re.escape(self.tenant_id)}(?![\w-])")

    @property
    def fresh(self) -> int:
        """Another number each time."""
        self.made += 1
        return self.made

    def owner(self, operation: Operation) -> Caller:
        """A user of this tenant whose role is just enough."""
        least = operation.least or Role.OBSERVER
        return Caller(None if least is Role.PLATFORM_ADMIN else self.tenant_id, least)

    def send(self, request: Request) -> ApiResponse:
        """Send a request of the owner's, and learn what it says."""
        answer = self.way.send(request)
        if answer.status not in request.operation.statuses:
            msg = f"{request.operation.name} with {request.body}: {answer.status} {answer.body}"
            raise NotMade(msg)
        self.ids |= set(_ID.findall(f"{answer.body} {answer.headers}"))
        return answer

    def request(self, operation: Operation, **known: str) -> Request:
        """The owner's request, made from the document alone.

        Raises:
            NotMade: the document does not say enough.
        """
        there = {**self.known, **known, TENANT: self.tenant_id}
        missing = [name for name in operation.names if name not in there]
        if missing:
            msg = f"nothing stands for {missing} in {operation.name}"
            raise NotMade(msg)
        parameters = {name: there[name] for name in operation.names}
        return Request(operation, parameters, self.owner(operation), self._body(operation, there))

    def make(self, operation: Operation, **known: str) -> dict[str, str]:
        """Make what this operation makes; gives what stands for it in paths."""
        answer = self.send(self.request(operation, **known))
        self.way.settle()
        return dict(self._standing(operation, answer))

    def maker_of(self, operation: Operation) -> Operation | None:
        """The operation that makes what this one is about."""
        collection = operation.path.rpartition("/{")[0]
        return next((one for one in self.operations if one.makes and one.path == collection), None)

    def plant(self, makers: Iterable[Operation]) -> None:
        """Make two of everything, the second with an Idempotency-Key, in an order in which it can be done.

        Raises:
            NotMade: something can never be made.
        """
        left = list(makers)
        while left:
            ready = [operation for operation in left if self._is_ready(operation)]
            if not ready:
                msg = f"nobody knows how to make {[operation.name for operation in left]}"
                raise NotMade(msg)
            for operation in ready:
                self._plant(operation)
                left.remove(operation)

    def find_cursors(self) -> None:
        """The second page of every list."""
        for operation in self.operations:
            if "next_token" in operation.queries and TENANT in operation.names:
                first = self.request(operation).asking(limit="1")
                self.way.settle(lambda first=first: self._next_token(first) is not None)
                self.cursors[operation.name] = str(self._next_token(first))

    def _next_token(self, first: Request) -> str | None:
        return self.send(first).body["pagination"]["nextToken"]

    def _plant(self, operation: Operation) -> None:
        for name, value in self.make(operation).items():
            self.known.setdefault(name, value)
        keyed = self.request(operation).given(Idempotency_Key=f"key of {self.tenant_id} to {operation.name}")
        self.keyed[operation.name] = (keyed, self.send(keyed))
        self.way.settle()

    def _is_ready(self, operation: Operation) -> bool:
        try:
            self.request(operation)
        except NotMade:
            return False
        return True

    def _standing(self, operation: Operation, answer: ApiResponse) -> Iterator[tuple[str, str]]:
        """The values in a resource that stand for a name in a path below it."""
        below = [one for one in self.operations if one.path.startswith(f"{operation.path}/{{")]
        names = {one.path.removeprefix(f"{operation.path}/{{").partition("}")[0] for one in below}
        resources: list[dict[str, Any]] = [part for part in answer.body.values() if isinstance(part, dict)]
        yield from ((name, str(part[name])) for part in resources for name in names if name in part)

    def _body(self, operation: Operation, known: dict[str, str]) -> Any:  # noqa: ANN401 — any JSON
        if operation.body is None:
            return None
        references = {name: value for name, value in known.items() if name != TENANT}
        try:
            return body_of(operation.body, canary=self.canary, known=references)
        except NothingFits as error:
            msg = f"the body of {operation.name} needs {error}"
            raise NotMade(msg) from error
