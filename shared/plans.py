"""The plans with their limits and prices. -1 means unlimited."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from shared.tenancy.permissions import ALL_FEATURES, Feature

UNLIMITED = -1


class Plan(StrEnum):
    """The plans that a tenant can have."""

    FREE = "free"
    PRO = "pro"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits of a plan, or the individual limits of a tenant."""

    max_users: int
    max_projects: int
    max_requests_per_month: int
    max_tokens_per_month: int
    """Input and output combined."""
    max_storage_gb: int
    max_concurrent_runs: int
    """Runs that execute at the same time; further runs wait in the tenant's own queue."""
    enabled_features: tuple[str, ...]

    def to_item(self) -> dict[str, Any]:
        """Return the limits as the tenant's item stores them."""
        return {**asdict(self), "enabled_features": list(self.enabled_features)}


LIMITS: dict[Plan, Quotas] = {
    Plan.FREE: Quotas(
        max_users=3,
        max_projects=3,
        max_requests_per_month=1_000,
        max_tokens_per_month=100_000,
        max_storage_gb=1,
        max_concurrent_runs=5,
        enabled_features=(Feature.AGENTS.value,),
    ),
    Plan.PRO: Quotas(
        max_users=10,
        max_projects=50,
        max_requests_per_month=50_000,
        max_tokens_per_month=2_000_000,
        max_storage_gb=10,
        max_concurrent_runs=50,
        enabled_features=tuple(feature.value for feature in Feature),
    ),
    Plan.ENTERPRISE: Quotas(
        max_users=100,
        max_projects=UNLIMITED,
        max_requests_per_month=UNLIMITED,
        max_tokens_per_month=UNLIMITED,
        max_storage_gb=100,
        max_concurrent_runs=500,
        enabled_features=(ALL_FEATURES,),
    ),
}

METERED = frozenset({Plan.PRO, Plan.ENTERPRISE})
"""The plans with a price for usage, so that usage above the limits can be allowed."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a plan in USD; 0 is free. Metered prices apply from the first unit."""

    base_cents_per_month: int = 0
    token_in_nano_usd: int = 0
    token_out_nano_usd: int = 0
    storage_gb_month_nano_usd: int = 0
    """A GB is 10⁹ bytes, and a month is 730 hours."""
    egress_gb_nano_usd: int = 0


PRICES: dict[Plan, Prices] = {
    Plan.FREE: Prices(),
    Plan.PRO: Prices(
        base_cents_per_month=29_00,
        token_in_nano_usd=1_000,
        token_out_nano_usd=2_000,
        storage_gb_month_nano_usd=100_000_000,
        egress_gb_nano_usd=50_000_000,
    ),
    Plan.ENTERPRISE: Prices(
        base_cents_per_month=299_00,
        token_in_nano_usd=500,
        token_out_nano_usd=1_000,
        storage_gb_month_nano_usd=50_000_000,
        egress_gb_nano_usd=20_000_000,
    ),
}
