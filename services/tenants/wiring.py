"""Dependencies of this service in production."""

import os
from functools import cache

from services.tenants.partitions import SLICE
from services.tenants.tenants.table.tenants import TenantRecord
from services.tenants.users.gateway.cognito import CognitoUserPool
from services.tenants.users.gateway.user_pool import UserPool
from shared.aws.clients import own_client
from shared.tenancy.context import TenantAccess
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="tenants")
tenant_store, slice_store = _own.tenant_store, _own.slice_store
empty_folder, artifact_store = _own.empty_folder, _own.artifact_store
artifacts = _own.slice_objects


@cache
def user_pool() -> UserPool:
    """Return the user pool of the environment."""
    return CognitoUserPool(own_client("cognito-idp"), user_pool_id=os.environ["USER_POOL_ID"])


def access(tenant_id: str) -> TenantAccess:
    """Return a tenant's access from its own item. This service owns tenants, so it needs no copy."""
    return TenantRecord(tenant_store(), tenant_id).access()
