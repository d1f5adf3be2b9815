"""Production dependencies of the agents service."""

import os
from functools import cache

from services.agents.base_urls.domain import BaseUrlPolicy
from services.agents.partitions import SLICE
from services.agents.provider_keys.gateway import SecretsVault, Vault
from shared.aws.clients import own_client, tenant_client
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="agents", folder="agents")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
documents = _own.tenant_objects
access, is_deleted, empty_folder = _own.access, _own.is_deleted, _own.empty_folder
artifact_store = _own.artifact_store


@cache
def vault() -> Vault:
    """Return the vault of the calling tenant's keys."""
    return SecretsVault(tenant_client("secretsmanager"), environment=os.environ["ENVIRONMENT"])


@cache
def all_tenants_vault() -> Vault:
    """Return a vault with access to the keys of every tenant, for their deletion."""
    return SecretsVault(own_client("secretsmanager"), environment=os.environ["ENVIRONMENT"])


@cache
def base_urls() -> BaseUrlPolicy:
    """Return the rule for the servers that may be named in this environment."""
    return BaseUrlPolicy(allow_private=os.environ["ALLOW_PRIVATE_BASE_URLS"] == "true")
