"""The early check of the plan's storage limit; the writes of runs enforce it (`table.storage`)."""

from services.runs.errors import StorageFull
from services.runs.runs.table.storage import BYTES_PER_GB, StoredBytes
from shared.plans import UNLIMITED
from shared.tenancy.context import TenantAccess


def check_storage_quota(stored: StoredBytes, access: TenantAccess) -> None:
    """Refuse a new run if the tenant's runs have reached the plan's storage limit.

    Raises:
        StorageFull: they have.
    """
    allowed_gb = access.allowance.storage_gb
    if allowed_gb != UNLIMITED and stored.read() >= allowed_gb * BYTES_PER_GB:
        raise StorageFull(allowed_gb)
