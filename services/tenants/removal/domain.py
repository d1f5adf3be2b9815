"""The certificate of a tenant's deletion: who requested it, when, and how much every service has removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.tenants.tenants.domain.services import SERVICES


@dataclass(frozen=True, slots=True)
class RemovalCounts:
    """The amount that one service has removed."""

    items: int
    objects: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """The record of a tenant's deletion."""

    tenant_id: str
    requested_by: str
    requested_at: datetime
    deleted_at: datetime
    removed: Mapping[str, RemovalCounts]
    """By service. Services that have not reported yet are absent."""

    @property
    def is_complete(self) -> bool:
        """Return whether every service has removed its data."""
        return set(self.removed) >= SERVICES
