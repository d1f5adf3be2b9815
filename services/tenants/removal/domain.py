"""What is left of a deleted tenant: who asked for it, when, and what every service has removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.events.catalogue import CATALOGUE

SERVICES = frozenset(kind.OWNER for kind in CATALOGUE.values())
"""Every service says something, and each of them has to say that it has removed what it had."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What one service has removed."""

    items: int
    objects: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """The end of a tenant."""

    tenant_id: str
    requested_by: str
    requested_at: datetime
    deleted_at: datetime
    removed: Mapping[str, Removed]
    """By service, as far as they have said it."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the tenant is left anywhere."""
        return set(self.removed) >= SERVICES
