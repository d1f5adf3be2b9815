"""API keys of a tenant that are not valid, although they resemble one that is."""

from datetime import timedelta

from services.tenants.api_keys import operations
from services.tenants.api_keys.domain import ApiKeyTerms
from services.tenants.api_keys.table import ApiKeyTable
from shared.api_keys.secret import RANDOM_BYTES, new_secret
from shared.ids import new_id
from shared.randomness import RANDOM
from shared.storage.store import Store
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import utc_now


def forged_keys(store: Store, tenant_id: str, *, environment: str = "test") -> dict[str, str]:
    """Return keys that must be refused, by name. The key that they resemble is stored and valid.

    Args:
        store: the slice of the tenants service.
        tenant_id: the tenant.
        environment: the one whose keys are accepted.
    """
    valid = _issue(store, tenant_id, environment)
    last = "1" if valid.endswith("0") else "0"
    return {
        "of another environment": valid.replace(f"anx_{environment}_", "anx_prod_"),
        "of this name in another environment": new_secret("prod", RANDOM.randbytes(RANDOM_BYTES)),
        "truncated": valid[:-1],
        "lengthened": f"{valid}0",
        "with a wrong checksum": valid[:-1] + last,
        "never issued": new_secret(environment, RANDOM.randbytes(RANDOM_BYTES)),
        "in capitals": valid.upper(),
        "deleted": _issue(store, tenant_id, environment, is_deleted=True),
        "expired": _issue(store, tenant_id, environment, age=timedelta(hours=1)),
        "replaced": _issue(store, tenant_id, environment, is_rotated=True),
    }


def _issue(
    store: Store,
    tenant_id: str,
    environment: str,
    *,
    age: timedelta = timedelta(0),
    is_deleted: bool = False,
    is_rotated: bool = False,
) -> str:
    """Create a key and return its secret.

    Args:
        store: the slice of the tenants service.
        tenant_id: the tenant.
        environment: of the key.
        age: the time since its creation; a key with an age has expired by now.
        is_deleted: whether it is deleted at once.
        is_rotated: whether it gets another secret at once, without an overlap.
    """
    now = utc_now() - age
    keys = ApiKeyTable(store, tenant_id)
    admin = TenantContext(tenant_id, "user:owner", Role.TENANT_ADMIN, None, "r1")
    ends = now + age / 2 if age else None
    api_key_id = new_id("key", now)
    issued = operations.create_key(
        keys,
        admin,
        ApiKeyTerms(name="attacked", role=Role.TENANT_ADMIN, scopes=None, expires_at=ends),
        api_key_id=api_key_id,
        secret=new_secret(environment, RANDOM.randbytes(RANDOM_BYTES)),
        now=now,
        idempotency_key=None,
    )
    if is_rotated:
        replacement = new_secret(environment, RANDOM.randbytes(RANDOM_BYTES))
        operations.rotate_key(keys, admin, api_key_id, secret=replacement, overlap=timedelta(0), now=now)
    if is_deleted:
        operations.delete_key(keys, admin, api_key_id, if_match=None)
    return issued.secret
