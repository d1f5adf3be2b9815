"""Production dependencies of the agents service."""

import os
from datetime import datetime
from functools import cache

from services.agents.base_urls.domain import BaseUrlPolicy
from services.agents.lint_rules.operations import LiveCheck
from services.agents.linting.operations import Linter
from services.agents.partitions import SLICE
from services.agents.provider_keys.gateway import SecretsVault, Vault
from shared.aws.clients import own_client, tenant_client
from shared.tenancy.context import TenantAccess
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="agents", folder="agents")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
documents = _own.tenant_objects
access, is_deleted, empty_folder = _own.access, _own.is_deleted, _own.empty_folder
artifact_store = _own.artifact_store


def linter(tenant_id: str) -> Linter:
    """Return the linter of a tenant's documents."""
    return Linter(tenant_store(), documents(), tenant_id)


def live_check(access: TenantAccess, *, now: datetime) -> LiveCheck:
    """Return the gate of a request that may make a version live."""
    return LiveCheck(access, now, linter(access.tenant_id).template_of)


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
