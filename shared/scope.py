"""The scope of the current work: everything that code below an edge reads without receiving it as an argument.

An edge (an HTTP request, a batch of messages, a schedule, a command) opens a scope and closes it, see `shared.edge`.
Blocks inside it narrow the scope to one tenant, trace or change, and restore it when they end.

A scope is immutable, so threads that run in a copy of the context share it safely.
"""

from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from math import inf
from typing import Any, Self, TypeAlias

Prefetched: TypeAlias = dict[tuple[str, tuple[str, str]], dict[str, Any] | None]
"""Items by their table and key; None where no item exists."""


@dataclass(frozen=True, slots=True)
class Change:
    """A request that changes something, as the audit log describes it."""

    request_id: str
    principal: str
    role: str
    action: str
    target: str
    network: str
    at: datetime
    numbers: "count[int]" = field(default_factory=lambda: count(1), compare=False)
    """The numbers of the records. A request may need several transactions, and each has a record of its own."""


@dataclass(frozen=True, kw_only=True)
class WorkScope:
    """The scope of one piece of work. The module that narrows a field documents its rules."""

    ends_at: float = inf
    """On the monotonic clock, the time at which the work must end (`shared.deadline`)."""
    trace_id: str = ""
    """The X-Ray root id, which the envelope of each event carries (`shared.observability`)."""
    segment_id: str = ""
    """The id of the innermost open subsegment of the trace; empty outside of a subsegment (`shared.tracing`)."""
    tenant_id: str | None = None
    """The tenant whose credentials sign calls; None: there are no credentials (`shared.aws.credentials`)."""
    change: Change | None = None
    """The change that each transaction records; None: the work is not recorded (`shared.audit`)."""
    prefetched: Prefetched | None = None
    """The items that were read ahead and not taken yet (`shared.storage.prefetch`)."""

    def with_fields(self, **changes: object) -> Self:
        """Return the scope with other values of these fields; three times as fast as `dataclasses.replace`."""
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__, **changes)
        return changed


_scope: ContextVar[WorkScope] = ContextVar("scope", default=WorkScope())  # noqa: B039 — it is frozen


def current() -> WorkScope:
    """Return the scope of this context. Outside of any work, it is empty."""
    return _scope.get()


class Opened:
    """A block in which a scope is the current one. As a class it costs half of a generator.

    Args:
        scope: the scope; None: the one around the block.
        changes: fields of the scope that have other values in the block.
    """

    __slots__ = ("_changes", "_scope", "_token")

    def __init__(self, scope: WorkScope | None = None, /, **changes: object) -> None:
        self._scope = scope
        self._changes = changes
        self._token: Token[WorkScope] | None = None

    def __enter__(self) -> None:
        scope = self._scope or _scope.get()
        self._token = _scope.set(scope.with_fields(**self._changes) if self._changes else scope)

    def __exit__(self, *_: object) -> None:
        if self._token:
            _scope.reset(self._token)


def narrowed(**changes: object) -> Opened:
    """Return a block in which these fields of the current scope have other values."""
    return Opened(**changes)
