"""The real things of this service."""

import os
from functools import cache

from services.tenants.gateways.cognito import CognitoIdentity
from services.tenants.gateways.identity import Identity
from services.tenants.table import SLICE
from services.tenants.table.tenants import get_access
from shared.storage.clients import own_client
from shared.tenancy.context import TenantAccess
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="tenants")
tenant_store, slice_store = _own.tenant_store, _own.slice_store
empty_folder, depot = _own.empty_folder, _own.depot
artifacts = _own.slice_objects


@cache
def identity() -> Identity:
    """The user pool."""
    return CognitoIdentity(own_client("cognito-idp"), user_pool_id=os.environ["USER_POOL_ID"])


def access(tenant_id: str) -> TenantAccess:
    """This service owns the tenants, so it needs no copy."""
    return get_access(tenant_store(), tenant_id)
