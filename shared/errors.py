"""The errors that an operation may raise, in seven families.

    AinexusError
    ├── InvalidRequest          what was sent cannot be understood or is not allowed by the schema
    ├── NotFound                the thing does not exist, or not for this caller
    ├── Forbidden               the caller may not do this
    │   └── PaymentRequired     … until the tenant has paid
    ├── Conflict                the thing is not in a state that allows this
    ├── PreconditionFailed      the thing changed since the caller read it
    ├── LimitReached            the plan does not allow more
    └── DependencyUnavailable   something that is needed does not answer now; nothing was changed
        └── TooManyRequests     … since too much is under way at once

Only `shared.http` turns them into status codes, only `shared.messaging` decides about retries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is wrong with the input."""

    field: str
    message: str


class AinexusError(Exception):
    """Anything that the caller can be told about; `str(error)` is safe to show."""


class InvalidRequest(AinexusError):
    """The request is well formed but its content is not acceptable."""

    def __init__(self, message: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class Malformed(InvalidRequest):
    """The request cannot be read at all: broken JSON, a token that is not ours."""


class TooLarge(InvalidRequest):
    """The request's body is over the limit."""


class IdempotencyKeyReused(InvalidRequest):
    """The Idempotency-Key was used before with another request."""


class NotFound(AinexusError):
    """There is no such thing in this tenant."""


class Forbidden(AinexusError):
    """The caller's role, feature or tenant does not allow this."""


class PaymentRequired(Forbidden):
    """The tenant is suspended until it has paid."""


class Conflict(AinexusError):
    """The thing is not in a state that allows this."""


class PreconditionFailed(AinexusError):
    """The resource is not the one the caller has read (`If-Match`)."""


class LimitReached(AinexusError):
    """The tenant's plan does not allow more.

    Args:
        resets_at: when the limit renews; None for what does not renew (users, projects, storage).
    """

    def __init__(self, message: str, *, resets_at: datetime | None = None) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class DependencyUnavailable(AinexusError):
    """Something needed does not answer now.

    Args:
        retry_after_s: when it is worth trying again, at most 60.
    """

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRequests(DependencyUnavailable):
    """Too much is under way at once; the same may be done in a moment."""
