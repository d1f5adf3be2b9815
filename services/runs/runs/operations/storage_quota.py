"""The plan's limit on what is stored."""

from services.runs.errors import StorageFull
from services.runs.table.storage import stored_bytes
from shared.plans import UNLIMITED
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess

_GB = 10**9


def check_room(store: Store, access: TenantAccess) -> None:
    """Let a run be made only while the tenant's runs store less than its plan allows.

    Raises:
        StorageFull: they do not.
    """
    allowed_gb = access.allowance.storage_gb
    if allowed_gb != UNLIMITED and stored_bytes(store, access.tenant_id) >= allowed_gb * _GB:
        raise StorageFull(allowed_gb)
