"""The errors that an operation may raise, in seven families.

    AinexusError
    ├── InvalidRequest          the request is malformed, or does not satisfy the schema
    ├── NotFound                the resource does not exist, or is not visible to the caller
    ├── Forbidden               the caller may not do this
    │   └── PaymentRequired     … until the tenant has paid
    ├── Conflict                the state of the resource does not allow this
    │   └── ChangedMeanwhile    … because another request changed it; the same request may succeed
    ├── PreconditionFailed      the resource changed since the caller read it
    ├── LimitReached            the plan does not allow more
    └── DependencyUnavailable   a required service does not respond; it is safe to retry
        └── TooManyRequests     … because too many requests are in progress

Only `shared.http` maps them to status codes, and only `shared.messaging` decides about retries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Shortage:
    """A monthly limit of which too little is left."""

    unit: str
    """`tokens` or `requests`."""
    limit: int
    needed: int
    """The least amount with which the request would have been accepted."""
    left: int


@dataclass(frozen=True, slots=True)
class Detail:
    """An error in one field of the input."""

    field: str
    message: str


class AinexusError(Exception):
    """An error that may be shown to the caller; `str(error)` contains nothing confidential."""


class InvalidRequest(AinexusError):
    """The request is well formed, but its content is not acceptable."""

    def __init__(self, message: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class Malformed(InvalidRequest):
    """The request cannot be parsed, for example because of broken JSON or an invalid page token."""


class UnsupportedMediaType(InvalidRequest):
    """The request body has a media type that the route does not accept."""


class TooLarge(InvalidRequest):
    """The request body exceeds the limit."""


class IdempotencyKeyReused(InvalidRequest):
    """The Idempotency-Key was used before with a different request."""


class NotFound(AinexusError):
    """The tenant has no such resource."""


class Forbidden(AinexusError):
    """The caller's role, feature or tenant does not allow this."""


class PaymentRequired(Forbidden):
    """The tenant is suspended until it has paid."""


class Conflict(AinexusError):
    """The state of the resource does not allow this."""


class ChangedMeanwhile(Conflict):
    """Another request changed the resource after it was read; the same change may succeed when it is tried again."""

    def __init__(self, message: str = "It was changed at the same time; read it again and try once more.") -> None:
        super().__init__(message)


class PreconditionFailed(AinexusError):
    """The resource is not in the version that the caller read (`If-Match`)."""


class LimitReached(AinexusError):
    """The tenant's plan does not allow more.

    Args:
        resets_at: the time at which the limit resets; None for a limit that does not (users, projects, storage).
        shortage: the numbers of a monthly limit.
    """

    def __init__(self, message: str, *, resets_at: datetime | None = None, shortage: Shortage | None = None) -> None:
        super().__init__(message)
        self.resets_at = resets_at
        self.shortage = shortage


class DependencyUnavailable(AinexusError):
    """A required service does not respond.

    Args:
        retry_after_s: the seconds after which to try again, at most 60.
    """

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRequests(DependencyUnavailable):
    """Too many requests are in progress; the same request may succeed in a moment."""
