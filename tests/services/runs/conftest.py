"""What the tests of this service work on: its slice and the bucket under moto, with one agent known."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from services.runs import wiring
from services.runs.consumer import worker
from services.runs.domain.agent import AgentCopy, VersionCopy
from services.runs.table import agents
from services.runs.table.budgets import BudgetTable
from services.runs.table.runs import RunTable
from shared.copies.tenant_access import TenantAccessCopies
from shared.storage.clients import own_client
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from shared.stored import Stored
from tests.services.runs.runs import AGENT_ID, NOW, TENANT
from tests.tables import BUCKET, REGION, memory_tables
from tests.tenants import tenant_created

CONFIG = {"model": "gpt-4", "system_prompt": "Be kind."}


@dataclass(frozen=True)
class World:
    """The service's own view of the world."""

    store: Store
    runs: RunTable
    budgets: BudgetTable
    documents: Artifacts
    config: Stored


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Generator[World]:
    """A tenant and an agent with one version, as their events have told of them."""
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv("PROVIDERS_WITHOUT_KEY", "simulate")
    monkeypatch.setenv("ALLOW_PRIVATE_BASE_URLS", "false")
    monkeypatch.setenv("WORKER_FUNCTION_NAME", "ainexus-test-runs-worker")
    caches = (
        wiring.configs,
        wiring.tenant_agents,
        worker._worker,  # pyright: ignore[reportPrivateUsage]  # it must not outlive the tables
        wiring.workers,
    )
    with memory_tables(caches):
        s3 = own_client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        documents = Artifacts(s3, bucket=BUCKET)
        config = documents.write(TENANT, f"agents/{AGENT_ID}/versions/1.json", CONFIG)
        store = wiring.slice_store()
        know_tenant(store)
        know_agent(store, config)
        yield World(store, wiring.slice_runs(), wiring.slice_budgets(), documents, config)


def know_tenant(store: Store, tenant_id: str = TENANT, **said: Any) -> None:  # noqa: ANN401 — those of tenant_created
    """Let the service have heard of a tenant."""
    TenantAccessCopies(store).keep(tenant_created(tenant_id, **said))


def know_version(world: World, version: int, **config: object) -> int:
    """Let the service have heard of a further version of the agent, with more in its config."""
    path = f"agents/{AGENT_ID}/versions/{version}.json"
    stored = world.documents.write(TENANT, path, {**CONFIG, **config})
    agents.keep_version(world.store, TENANT, VersionCopy(AGENT_ID, version, stored))
    return version


def know_agent(store: Store, config: Stored, *, agent_id: str = AGENT_ID, deleted: bool = False) -> None:
    """Let the service have heard of an agent with one version."""
    agents.keep_agent(store, TENANT, AgentCopy(agent_id, 1 + deleted, None, 1, 1, deleted=deleted, heard_at=NOW))
    agents.keep_version(store, TENANT, VersionCopy(agent_id, 1, config))
