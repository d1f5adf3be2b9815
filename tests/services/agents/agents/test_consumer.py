"""The consumer of the tenants service's events."""

import os
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.agents import wiring
from services.agents.agents import operations
from services.agents.agents.domain import Agent, AgentConfig, AgentDetails
from services.agents.agents.table import AgentTable
from services.agents.functions.consumer import handler
from services.agents.partitions import SLICE
from services.agents.projects.table import ProjectCopies, ProjectCopy
from shared.aws.clients import own_client
from shared.copies.tenant_access import TenantAccessCopies
from shared.events.envelope import Event, new_event
from shared.events.tenants import LimitsState, ProjectCreated, ProjectDeleted, TenantCreated, TenantEvent
from shared.ids import new_id
from shared.plans import LIMITS, Plan
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.messages import batch
from tests.services.agents.bucket import InterleavedBucket
from tests.tables import memory_tables

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TENANT = "acme"
PROJECT = new_id("prj", NOW - timedelta(days=1))
OTHER_PROJECT = new_id("prj", NOW - timedelta(days=2))
NOTHING_FAILED: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture
def store() -> Generator[Store]:
    """Return the slice of the consumer."""
    with memory_tables():
        yield wiring.slice_store()


def new_tenant_event(data: TenantEvent, *, subject: str, seq: int, tenant_id: str = TENANT) -> Event[TenantEvent]:
    return new_event(data, event_id=f"{subject}:{seq}", tenant_id=tenant_id, subject=subject, seq=seq, at=NOW)


def project_created(project_id: str = PROJECT) -> Event[TenantEvent]:
    return new_tenant_event(ProjectCreated(project_id=project_id), subject=project_id, seq=1)


def project_deleted(project_id: str = PROJECT, *, tenant_id: str = TENANT) -> Event[TenantEvent]:
    return new_tenant_event(ProjectDeleted(project_id=project_id), subject=project_id, seq=2, tenant_id=tenant_id)


def tenant_created(*, seq: int = 1, status: Any = "active") -> Event[TenantEvent]:  # noqa: ANN401 — one of a few texts
    limits = LimitsState.model_validate(LIMITS[Plan.PRO].to_item())
    return new_tenant_event(TenantCreated(plan="pro", status=status, limits=limits), subject=TENANT, seq=seq)


def make_agents(store: Store, count: int, *, project_id: str | None = PROJECT, tenant_id: str = TENANT) -> list[Agent]:
    return [
        operations.create_agent(
            store,
            InterleavedBucket().documents,
            tenant_id,
            agent_id=new_id("agt", NOW),
            details=AgentDetails(f"Agent {number}", None, project_id),
            agent_type="conversational",
            config=AgentConfig(model="gpt-4"),
            now=NOW,
        )
        for number in range(count)
    ]


def agent_now(store: Store, agent: Agent) -> Agent:
    return AgentTable(store, TENANT).get(agent.agent_id)


def published_updates(store: Store) -> list[str]:
    condition = Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")})
    return [str(item["SK"]) for item in store.query_all(condition) if str(item["SK"]).endswith(":updated")]


class TestUpdateTenantCopy:
    def test_creates_the_copy_of_the_tenant(self, store: Store) -> None:
        assert handler(batch(tenant_created())) == NOTHING_FAILED
        access = TenantAccessCopies(store).read(TENANT)
        assert (access.status, access.plan, "agents" in access.enabled_features) == ("active", "pro", True)

    def test_ignores_an_older_event(self, store: Store) -> None:
        handler(batch(tenant_created(seq=3, status="suspended"), tenant_created(seq=2)))
        assert TenantAccessCopies(store).read(TENANT).status == "suspended"

    def test_ignores_an_unknown_field(self, store: Store) -> None:
        assert handler(batch(tenant_created(), extra={"shoe_size": 43})) == NOTHING_FAILED
        assert TenantAccessCopies(store).read(TENANT).seq == 1


class TestProjectCopies:
    def test_allows_agents_in_the_project(self, store: Store) -> None:
        assert handler(batch(project_created())) == NOTHING_FAILED
        assert ProjectCopies(store, TENANT).exists(PROJECT) is True

    def test_accepts_the_same_event_twice(self, store: Store) -> None:
        handler(batch(project_created(), project_created()))
        assert ProjectCopies(store, TENANT).exists(PROJECT) is True

    def test_ignores_an_unknown_field(self, store: Store) -> None:
        assert handler(batch(project_created(), extra={"colour": "red"})) == NOTHING_FAILED
        assert ProjectCopies(store, TENANT).exists(PROJECT) is True

    def test_late_creation_does_not_restore_a_deleted_project(self, store: Store) -> None:
        assert handler(batch(project_deleted(), project_created())) == NOTHING_FAILED
        assert ProjectCopies(store, TENANT).exists(PROJECT) is False


class TestEmptyProject:
    def test_removes_all_its_agents_and_no_others(self, store: Store) -> None:
        handler(batch(project_created(), project_created(OTHER_PROJECT)))
        inside = make_agents(store, 3)
        [elsewhere] = make_agents(store, 1, project_id=OTHER_PROJECT)
        assert handler(batch(project_deleted())) == NOTHING_FAILED
        assert [(agent_now(store, agent).project_id, agent_now(store, agent).seq) for agent in inside] == [
            (None, 2)
        ] * 3
        assert agent_now(store, elsewhere) == elsewhere
        assert published_updates(store) == sorted(f"OUTBOX#{agent.agent_id}:2:updated" for agent in inside)

    def test_handles_more_agents_than_fit_in_one_transaction(self, store: Store) -> None:
        handler(batch(project_created()))
        make_agents(store, 51)  # with an event each, 102 actions
        handler(batch(project_deleted()))
        assert list(AgentTable(store, TENANT).of_project(PROJECT)) == []
        assert len(published_updates(store)) == 51

    def test_repeated_event_publishes_once(self, store: Store) -> None:
        handler(batch(project_created()))
        [agent] = make_agents(store, 1)
        handler(batch(project_deleted(), project_deleted()))
        handler(batch(project_deleted()))
        assert agent_now(store, agent).seq == 2
        assert len(published_updates(store)) == 1

    def test_resumes_after_an_interruption(self, store: Store) -> None:
        handler(batch(project_created()))
        first, second = make_agents(store, 2)
        ProjectCopies(store, TENANT).keep(ProjectCopy(PROJECT, 2, deleted=True))
        operations.change_agent(
            store,
            InterleavedBucket().documents,
            TENANT,
            first.agent_id,
            operations.AgentUpdate(clears_project=True),
            now=NOW,
            if_match=None,
        )
        handler(batch(project_deleted()))
        assert (agent_now(store, first).seq, agent_now(store, second).seq) == (2, 2)
        assert agent_now(store, second).project_id is None

    def test_keeps_an_agent_that_joined_another_project(self, store: Store) -> None:
        handler(batch(project_created(), project_created(OTHER_PROJECT)))
        first, second = make_agents(store, 2)
        racing = _Racing(store, lambda: _move(store, second, OTHER_PROJECT))
        operations.empty_project(racing, TENANT, PROJECT, seq=2, now=NOW)
        assert agent_now(store, first).project_id is None
        assert agent_now(store, second).project_id == OTHER_PROJECT

    def test_ignores_an_agent_that_is_deleted_concurrently(self, store: Store) -> None:
        handler(batch(project_created()))
        first, second = make_agents(store, 2)

        def delete() -> None:
            operations.delete_agent(store, TENANT, second.agent_id, now=NOW, if_match=None)

        operations.empty_project(_Racing(store, delete), TENANT, PROJECT, seq=2, now=NOW)
        assert agent_now(store, first).project_id is None

    def test_keeps_another_tenants_agents(self, store: Store) -> None:
        handler(batch(project_created()))
        [agent] = make_agents(store, 1)
        handler(batch(project_deleted(tenant_id="other")))
        assert agent_now(store, agent) == agent


class TestBatch:
    def test_only_an_invalid_message_is_received_again(self, store: Store) -> None:
        messages = batch(project_created(), project_deleted(OTHER_PROJECT), tenant_created())
        messages["Records"][1]["body"] = "{}"
        assert handler(messages) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
        assert ProjectCopies(store, TENANT).exists(PROJECT) is True
        assert TenantAccessCopies(store).read(TENANT).seq == 1


def _move(store: Store, agent: Agent, project_id: str) -> None:
    operations.change_agent(
        store,
        InterleavedBucket().documents,
        TENANT,
        agent.agent_id,
        operations.AgentUpdate(project_id=project_id),
        now=NOW,
        if_match=None,
    )


class _Racing(Store):
    """A slice in which a concurrent change follows the listing of the agents."""

    def __init__(self, store: Store, rival: Callable[[], None]) -> None:
        super().__init__(own_client("dynamodb"), table=os.environ["ENTITIES_TABLE_NAME"], owned=store.owned)
        self._rival = rival

    def query_all(self, condition: Expression, **how: Any) -> Any:  # noqa: ANN401 — as the base's
        """See `Store.query_all`."""
        items = list(super().query_all(condition, **how))
        self._rival()
        return iter(items)
