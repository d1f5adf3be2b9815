"""A circuit breaker that limits requests to Stripe during an outage of all or part of it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.billing.errors import ApiKeyRejected, CatalogMissing, EntryChanged, PaymentsUnavailable

MAX_CONSECUTIVE_TENANTS = 3
"""The number of consecutive failing tenants after which the outage is assumed to affect all."""


@dataclass
class Circuit:
    """The state of one sweep. Entries that it does not allow stay due."""

    is_open: bool = False
    """Whether all requests are blocked."""
    _tenants: set[str] = field(default_factory=set[str])
    _meters: set[str] = field(default_factory=set[str])
    _consecutive_failures: int = 0

    def allows(self, tenant_id: str, meter: str | None = None) -> bool:
        """Return whether a request for this tenant and meter may succeed."""
        return not self.is_open and tenant_id not in self._tenants and meter not in self._meters

    @contextmanager
    def recording(self, tenant_id: str, meter: str | None = None) -> Generator[None]:
        """Record the outcome of this block. An entry that another function has taken over counts as done."""
        try:
            yield
        except EntryChanged:
            return
        except PaymentsUnavailable as error:
            self.failed(error, tenant_id=tenant_id, meter=meter)
            raise
        self.succeeded()

    def succeeded(self) -> None:
        """Record a successful request."""
        self._consecutive_failures = 0

    def failed(self, error: PaymentsUnavailable, *, tenant_id: str, meter: str | None = None) -> None:
        """Record a failure, and block the meter, the tenant or all requests, depending on the error."""
        if isinstance(error, CatalogMissing) and meter:
            self._meters.add(meter)
            return
        self._tenants.add(tenant_id)
        self._consecutive_failures += 1
        if isinstance(error, ApiKeyRejected) or self._consecutive_failures >= MAX_CONSECUTIVE_TENANTS:
            self.is_open = True
