"""Which requests are still worth sending while Stripe, or a part of it, does not work."""

from dataclasses import dataclass, field

from services.billing.domain.price import BilledMeter
from services.billing.errors import CatalogueMissing, KeyNotAccepted, PaymentsUnavailable

MAX_TENANTS_IN_A_ROW = 3
"""If the requests of this many tenants in a row fail, the outage affects all."""


@dataclass
class Circuit:
    """The state of one sweep. Entries that it does not allow stay due."""

    is_open: bool = False
    """No request at all is worth it."""
    _tenants: set[str] = field(default_factory=set[str])
    _meters: set[BilledMeter] = field(default_factory=set[BilledMeter])
    _in_a_row: int = 0

    def allows(self, tenant_id: str, meter: BilledMeter | None = None) -> bool:
        """Whether a request for the tenant, about the meter, may succeed."""
        return not self.is_open and tenant_id not in self._tenants and meter not in self._meters

    def succeeded(self) -> None:
        """Note a request that was carried out."""
        self._in_a_row = 0

    def failed(self, error: PaymentsUnavailable, *, tenant_id: str, meter: BilledMeter | None = None) -> None:
        """Note a failure, and what it is a failure of: the meter, the key, or as far as is known the tenant."""
        if isinstance(error, CatalogueMissing) and meter:
            self._meters.add(meter)
            return
        self._tenants.add(tenant_id)
        self._in_a_row += 1
        if isinstance(error, KeyNotAccepted) or self._in_a_row >= MAX_TENANTS_IN_A_ROW:
            self.is_open = True
