"""The real things of this service."""

import os
from functools import cache

from services.agents import table
from services.agents.domain import Addresses
from services.agents.gateways.vault import SecretsVault, Vault
from shared.storage.clients import own_client, tenant_client
from shared.wiring import SliceWiring

_own = SliceWiring(table.SLICE, service="agents", folder="agents")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
documents = _own.tenant_objects
access, is_deleted, empty_folder = _own.access, _own.is_deleted, _own.empty_folder
depot = _own.depot


@cache
def vault() -> Vault:
    """The keys of the tenant that is acted for."""
    return SecretsVault(tenant_client("secretsmanager"), environment=os.environ["ENVIRONMENT"])


@cache
def every_vault() -> Vault:
    """The keys of every tenant, for their removal."""
    return SecretsVault(own_client("secretsmanager"), environment=os.environ["ENVIRONMENT"])


@cache
def addresses() -> Addresses:
    """Which servers may be named in this environment."""
    return Addresses(allow_private=os.environ["ALLOW_PRIVATE_BASE_URLS"] == "true")
