"""What the agents service does when the tenants service says something."""

import os
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.agents import operations, table, wiring
from services.agents.consumer import consumer
from services.agents.domain import Agent, AgentConfig, Description
from services.agents.table import SLICE
from shared.copies.tenant_access import TenantAccessCopies
from shared.events.envelope import Event, happened
from shared.events.tenants import LimitsState, ProjectCreated, ProjectDeleted, TenantCreated, TenantEvent
from shared.ids import new_id
from shared.plans import LIMITS, Plan
from shared.storage.clients import own_client
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.messages import batch
from tests.services.agents.bucket import FakeBucket
from tests.tables import memory_tables

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TENANT = "acme"
PROJECT = new_id("prj", NOW - timedelta(days=1))
OTHER_PROJECT = new_id("prj", NOW - timedelta(days=2))
NOTHING_FAILED: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture
def store() -> Generator[Store]:
    """The slice that the consumer itself works on."""
    with memory_tables():
        yield wiring.slice_store()


def say(data: TenantEvent, *, subject: str, seq: int, tenant_id: str = TENANT) -> Event[TenantEvent]:
    return happened(data, event_id=f"{subject}:{seq}", tenant_id=tenant_id, subject=subject, seq=seq, at=NOW)


def project_created(project_id: str = PROJECT) -> Event[TenantEvent]:
    return say(ProjectCreated(project_id=project_id), subject=project_id, seq=1)


def project_deleted(project_id: str = PROJECT, *, tenant_id: str = TENANT) -> Event[TenantEvent]:
    return say(ProjectDeleted(project_id=project_id), subject=project_id, seq=2, tenant_id=tenant_id)


def tenant_created(*, seq: int = 1, status: Any = "active") -> Event[TenantEvent]:  # noqa: ANN401 — one of a few texts
    limits = LimitsState.model_validate(LIMITS[Plan.PRO].to_item())
    return say(TenantCreated(plan="pro", status=status, limits=limits), subject=TENANT, seq=seq)


def make_agents(store: Store, count: int, *, project_id: str | None = PROJECT, tenant_id: str = TENANT) -> list[Agent]:
    return [
        operations.create_agent(
            store,
            FakeBucket().documents,
            tenant_id,
            agent_id=new_id("agt", NOW),
            described=Description(f"Agent {number}", None, project_id),
            agent_type="conversational",
            config=AgentConfig(model="gpt-4"),
            now=NOW,
        )
        for number in range(count)
    ]


def agent_now(store: Store, agent: Agent) -> Agent:
    return table.get_agent(store, TENANT, agent.agent_id)


def updates_said(store: Store) -> list[str]:
    condition = Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")})
    return [str(item["SK"]) for item in store.query_all(condition) if str(item["SK"]).endswith(":updated")]


class TestKeepTenant:
    def test_the_tenant_is_known(self, store: Store) -> None:
        assert consumer(batch(tenant_created())) == NOTHING_FAILED
        access = TenantAccessCopies(store).read(TENANT)
        assert (access.status, access.plan, "agents" in access.enabled_features) == ("active", "pro", True)

    def test_what_is_older_changes_nothing(self, store: Store) -> None:
        consumer(batch(tenant_created(seq=3, status="suspended"), tenant_created(seq=2)))
        assert TenantAccessCopies(store).read(TENANT).status == "suspended"

    def test_an_unknown_field_is_ignored(self, store: Store) -> None:
        assert consumer(batch(tenant_created(), extra={"shoe_size": 43})) == NOTHING_FAILED
        assert TenantAccessCopies(store).read(TENANT).seq == 1


class TestKeepProject:
    def test_agents_can_be_put_into_it(self, store: Store) -> None:
        assert consumer(batch(project_created())) == NOTHING_FAILED
        assert table.project_exists(store, TENANT, PROJECT) is True

    def test_the_same_event_twice(self, store: Store) -> None:
        consumer(batch(project_created(), project_created()))
        assert table.project_exists(store, TENANT, PROJECT) is True

    def test_an_unknown_field_is_ignored(self, store: Store) -> None:
        assert consumer(batch(project_created(), extra={"colour": "red"})) == NOTHING_FAILED
        assert table.project_exists(store, TENANT, PROJECT) is True

    def test_after_its_deletion_it_stays_deleted(self, store: Store) -> None:
        assert consumer(batch(project_deleted(), project_created())) == NOTHING_FAILED
        assert table.project_exists(store, TENANT, PROJECT) is False


class TestEmptyProject:
    def test_all_its_agents_leave_it_and_no_others(self, store: Store) -> None:
        consumer(batch(project_created(), project_created(OTHER_PROJECT)))
        inside = make_agents(store, 3)
        [elsewhere] = make_agents(store, 1, project_id=OTHER_PROJECT)
        assert consumer(batch(project_deleted())) == NOTHING_FAILED
        assert [(agent_now(store, agent).project_id, agent_now(store, agent).seq) for agent in inside] == [
            (None, 2)
        ] * 3
        assert agent_now(store, elsewhere) == elsewhere
        assert updates_said(store) == sorted(f"OUTBOX#{agent.agent_id}:2:updated" for agent in inside)

    def test_more_agents_than_one_transaction_holds(self, store: Store) -> None:
        consumer(batch(project_created()))
        make_agents(store, 51)  # with an event each, 102 actions
        consumer(batch(project_deleted()))
        assert list(table.agents_of_project(store, TENANT, PROJECT)) == []
        assert len(updates_said(store)) == 51

    def test_the_same_event_twice_says_it_once(self, store: Store) -> None:
        consumer(batch(project_created()))
        [agent] = make_agents(store, 1)
        consumer(batch(project_deleted(), project_deleted()))
        consumer(batch(project_deleted()))
        assert agent_now(store, agent).seq == 2
        assert len(updates_said(store)) == 1

    def test_goes_on_where_it_was_cut_off(self, store: Store) -> None:
        consumer(batch(project_created()))
        first, second = make_agents(store, 2)
        table.keep_project(store, TENANT, PROJECT, seq=2, deleted=True)
        operations.change_agent(
            store,
            FakeBucket().documents,
            TENANT,
            first.agent_id,
            operations.AgentPatch(clears_project=True),
            now=NOW,
            if_match=None,
        )
        consumer(batch(project_deleted()))
        assert (agent_now(store, first).seq, agent_now(store, second).seq) == (2, 2)
        assert agent_now(store, second).project_id is None

    def test_an_agent_that_has_moved_on_stays_where_it_is(self, store: Store) -> None:
        consumer(batch(project_created(), project_created(OTHER_PROJECT)))
        first, second = make_agents(store, 2)
        racing = _Racing(store, lambda: _move(store, second, OTHER_PROJECT))
        operations.empty_project(racing, TENANT, PROJECT, seq=2, now=NOW)
        assert agent_now(store, first).project_id is None
        assert agent_now(store, second).project_id == OTHER_PROJECT

    def test_an_agent_that_goes_meanwhile_is_no_failure(self, store: Store) -> None:
        consumer(batch(project_created()))
        first, second = make_agents(store, 2)

        def delete() -> None:
            operations.delete_agent(store, TENANT, second.agent_id, now=NOW, if_match=None)

        operations.empty_project(_Racing(store, delete), TENANT, PROJECT, seq=2, now=NOW)
        assert agent_now(store, first).project_id is None

    def test_another_tenants_agents_stay(self, store: Store) -> None:
        consumer(batch(project_created()))
        [agent] = make_agents(store, 1)
        consumer(batch(project_deleted(tenant_id="other")))
        assert agent_now(store, agent) == agent


class TestBatch:
    def test_one_that_cannot_be_read_comes_again_alone(self, store: Store) -> None:
        messages = batch(project_created(), project_deleted(OTHER_PROJECT), tenant_created())
        messages["Records"][1]["body"] = "{}"
        assert consumer(messages) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
        assert table.project_exists(store, TENANT, PROJECT) is True
        assert TenantAccessCopies(store).read(TENANT).seq == 1


def _move(store: Store, agent: Agent, project_id: str) -> None:
    operations.change_agent(
        store,
        FakeBucket().documents,
        TENANT,
        agent.agent_id,
        operations.AgentPatch(project_id=project_id),
        now=NOW,
        if_match=None,
    )


class _Racing(Store):
    """A slice in which somebody else does something right after the agents were listed."""

    def __init__(self, store: Store, rival: Callable[[], None]) -> None:
        super().__init__(own_client("dynamodb"), table=os.environ["ENTITIES_TABLE_NAME"], owned=store.owned)
        self._rival = rival

    def query_all(self, condition: Expression, **how: Any) -> Any:  # noqa: ANN401 — as the base's
        """See `Store.query_all`."""
        items = list(super().query_all(condition, **how))
        self._rival()
        return iter(items)
