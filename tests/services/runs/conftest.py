"""The slice and bucket of the service under moto, with the copy of one agent."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from services.runs import wiring
from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopyTable, VersionCopyTable
from services.runs.budgets.table.budgets import AllBudgets, BudgetTable
from services.runs.execution import consumer
from services.runs.runs.table.runs import AllRuns, RunTable
from shared.aws.clients import own_client
from shared.copies.tenant_access import TenantAccessCopies
from shared.document_ref import DocumentRef
from shared.storage.objects import Artifacts
from shared.storage.store import Store
from tests.services.runs.examples import AGENT_ID, NOW, TENANT
from tests.tables import BUCKET, REGION, memory_tables
from tests.tenants import tenant_created

CONFIG = {"model": "gpt-4", "system_prompt": "Be kind."}


@dataclass(frozen=True)
class World:
    """The tables and documents of the service."""

    store: Store
    runs: RunTable
    budgets: BudgetTable
    documents: Artifacts
    config: DocumentRef

    @property
    def all_runs(self) -> AllRuns:
        """The runs of all tenants, in the same type of table."""
        return all_of(self.runs)

    @property
    def all_budgets(self) -> AllBudgets:
        """The budgets of all tenants, in the same type of table."""
        return AllBudgets(self.store, table=type(self.budgets))


def all_of(runs: RunTable) -> AllRuns:
    """Return the runs of all tenants, each in a table of this type."""
    return AllRuns(runs.store, runs.payloads, table=type(runs))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Generator[World]:
    """Return a slice with the copies of a tenant and of an agent with one version."""
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv("PROVIDERS_WITHOUT_KEY", "simulate")
    monkeypatch.setenv("ALLOW_PRIVATE_BASE_URLS", "false")
    monkeypatch.setenv("WORKER_FUNCTION_NAME", "ainexus-test-runs-worker")
    caches = (
        wiring.configs,
        wiring.tenant_agents,
        consumer._models,  # pyright: ignore[reportPrivateUsage]  # it must not outlive the tables
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
        yield World(store, wiring.slice_runs().of(TENANT), wiring.slice_budgets().of(TENANT), documents, config)


def know_tenant(store: Store, tenant_id: str = TENANT, **payload: Any) -> None:  # noqa: ANN401 — those of tenant_created
    """Store the copy of a tenant."""
    TenantAccessCopies(store).keep(tenant_created(tenant_id, **payload))


def know_version(world: World, version: int, **config: object) -> int:
    """Store the copy of another version of the agent, with these changes of its config."""
    path = f"agents/{AGENT_ID}/versions/{version}.json"
    stored = world.documents.write(TENANT, path, {**CONFIG, **config})
    VersionCopyTable(world.store, TENANT).keep(VersionCopy(AGENT_ID, version, stored))
    return version


def know_agent(store: Store, config: DocumentRef, *, agent_id: str = AGENT_ID, deleted: bool = False) -> None:
    """Store the copy of an agent with one version."""
    AgentCopyTable(store, TENANT).keep(AgentCopy(agent_id, 1 + deleted, None, 1, 1, deleted=deleted, received_at=NOW))
    VersionCopyTable(store, TENANT).keep(VersionCopy(agent_id, 1, config))
