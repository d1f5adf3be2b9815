"""The copy of a tenant's status, plan and limits that every service except tenants keeps in its own slice."""

from dataclasses import dataclass, replace
from typing import Literal

from shared.copies.retry import read_until_present
from shared.copies.table import CopyTable
from shared.declaration import Slice
from shared.events.envelope import Event
from shared.events.tenants import (
    TenantCreated,
    TenantDeletionRequested,
    TenantPlanChanged,
    TenantReactivated,
    TenantState,
    TenantSuspended,
    TenantUpdated,
)
from shared.plans import LIMITS, Plan
from shared.storage.codec import Codec
from shared.storage.items import Key
from shared.storage.store import Store
from shared.tenancy.context import Allowance, TenantAccess

TENANT_CHANGES: tuple[type[TenantState], ...] = (
    TenantUpdated,
    TenantPlanChanged,
    TenantSuspended,
    TenantReactivated,
)
TENANT_STATES = (TenantCreated, *TENANT_CHANGES, TenantDeletionRequested)
"""The events that update the copy."""

DELETED = "deleted"
"""The status of a tombstone, which late events cannot overwrite."""


def access_key(owned: Slice, tenant_id: str) -> Key:
    """Return the key of the copy."""
    return Key(owned.key(tenant_id), "COPY#TENANT")


@dataclass(frozen=True, slots=True)
class _Copy:
    """The stored state of a tenant. A tombstone has neither a plan nor limits."""

    seq: int
    status: str
    plan: str = ""
    enabled_features: tuple[str, ...] = ()
    max_requests_per_month: int = 0
    max_tokens_per_month: int = 0
    max_storage_gb: int = 0
    max_concurrent_runs: int | None = None
    """None in copies and events that are older than this limit."""
    overage: bool = False
    lint_gate: Literal["off", "warn", "block"] = "warn"

    def access_of(self, tenant_id: str) -> TenantAccess:
        """Return the state of this tenant. A tombstone allows nothing."""
        allowance = Allowance(
            requests_per_month=self.max_requests_per_month,
            tokens_per_month=self.max_tokens_per_month,
            storage_gb=self.max_storage_gb,
            overage=self.overage,
        )
        if self.status != DELETED:
            allowance = replace(allowance, concurrent_runs=_concurrent_runs(self.plan, self.max_concurrent_runs))
        return TenantAccess(
            tenant_id, self.seq, self.status, self.plan, self.enabled_features, allowance, self.lint_gate
        )


class _AccessTable(CopyTable[_Copy]):
    """The copy of one tenant's state."""

    prefix = "COPY#TENANT"
    codec = Codec(_Copy, always=("max_requests_per_month", "max_tokens_per_month", "max_storage_gb"))


class TenantAccessCopies:
    """The copies of one service."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, tenant_id: str) -> TenantAccess | None:
        """Return the copy of a tenant, or None if no event of the tenant has arrived."""
        copy = _AccessTable(self._store, tenant_id).find()
        return copy.access_of(tenant_id) if copy else None

    def read(self, tenant_id: str) -> TenantAccess:
        """Return the copy of a tenant.

        Raises:
            DependencyUnavailable: no event of the tenant has arrived; without a copy, nothing is allowed.
        """
        return read_until_present(lambda: self.find(tenant_id))

    def keep(self, event: Event[TenantState]) -> None:
        """Store the state in an event, unless the copy is newer."""
        state, limits = event.data, event.data.limits
        copy = _Copy(
            event.seq,
            state.status,
            state.plan,
            tuple(limits.enabled_features),
            max_requests_per_month=limits.max_requests_per_month,
            max_tokens_per_month=limits.max_tokens_per_month,
            max_storage_gb=limits.max_storage_gb,
            max_concurrent_runs=_concurrent_runs(state.plan, limits.max_concurrent_runs),
            overage=state.overage == "allow",
            lint_gate=state.lint_gate,
        )
        _AccessTable(self._store, event.tenant_id).keep(copy)

    def is_deleted(self, tenant_id: str) -> bool:
        """Return whether the tenant was deleted; False if it is unknown."""
        copy = _AccessTable(self._store, tenant_id).find()
        return copy is not None and copy.status == DELETED


def _concurrent_runs(plan: str, own: int | None) -> int:
    """Return the tenant's limit, or the plan's if the event or the copy is older than the limit."""
    return LIMITS[Plan(plan)].max_concurrent_runs if own is None else own
