"""The authorizer with tables in memory, a pool on this machine, and one tenant."""

import os
from collections.abc import Callable, Generator
from datetime import datetime, timedelta

import pytest

from services.core.authorizer.gateway import IdTokens, pool_keys
from services.core.authorizer.operations import Callers
from services.core.authorizer.table import ApiKeys
from services.tenants.api_keys import operations
from services.tenants.api_keys.domain import ApiKeyTerms, IssuedKey
from services.tenants.api_keys.table import ApiKeyTable
from services.tenants.partitions import SLICE
from services.tenants.tenants.operations import create_tenant
from shared.api_keys.secret import RANDOM_BYTES, new_secret
from shared.ids import new_id
from shared.plans import Plan
from shared.randomness import RANDOM
from shared.storage.store import Store
from shared.tenancy.context import TenantContext
from shared.tenancy.permissions import Role
from shared.times import utc_now
from tests.dynamodb.memory_tables import MemoryTables
from tests.issuer import AUDIENCE, TokenIssuer, start_issuer
from tests.tables import memory_tables

ADMIN = TenantContext("acme", "user:owner", Role.TENANT_ADMIN, None, "r1")
Issue = Callable[..., IssuedKey]


@pytest.fixture(name="database")
def make_database() -> Generator[MemoryTables]:
    with memory_tables() as client:
        yield client


@pytest.fixture(name="store")
def make_store(database: MemoryTables) -> Store:
    store = Store(database, table=os.environ[SLICE.table.variable], owned=SLICE)
    create_tenant(store, "acme", name="Acme", plan=Plan.PRO, now=utc_now())
    return store


@pytest.fixture(name="keys")
def make_keys(store: Store) -> ApiKeyTable:
    return ApiKeyTable(store, "acme")


@pytest.fixture(name="issuer")
def make_issuer() -> Generator[TokenIssuer]:
    with start_issuer() as issuer:
        yield issuer


@pytest.fixture(name="tokens")
def make_tokens(issuer: TokenIssuer) -> IdTokens:
    return IdTokens(issuer=issuer.url, audience=AUDIENCE, keys=pool_keys(f"{issuer.url}/.well-known/jwks.json"))


@pytest.fixture(name="callers")
def make_callers(tokens: IdTokens, store: Store, database: MemoryTables) -> Callers:
    api_keys = ApiKeys(database, os.environ[store.owned.table.variable])
    return Callers(tokens=tokens, api_keys=api_keys, environment="test")


@pytest.fixture(name="issue")
def make_issue(keys: ApiKeyTable) -> Issue:
    """Return a function that creates an API key of `acme`."""

    def issue(
        *,
        role: Role = Role.DEVELOPER,
        scopes: tuple[str, ...] | None = None,
        ends: timedelta | None = None,
        now: datetime | None = None,
    ) -> IssuedKey:
        at = now or utc_now()
        return operations.create_key(
            keys,
            ADMIN,
            ApiKeyTerms(name="CI", role=role, scopes=scopes, expires_at=None if ends is None else at + ends),
            api_key_id=new_id("key", at),
            secret=new_secret("test", RANDOM.randbytes(RANDOM_BYTES)),
            now=at,
            idempotency_key=None,
        )

    return issue
