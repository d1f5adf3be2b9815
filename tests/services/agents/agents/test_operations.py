"""Operations on agents, with their effects on the table and the bucket."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.agents.agents import operations
from services.agents.agents.domain import Agent, AgentConfig, AgentDetails
from services.agents.agents.operations import AgentUpdate
from services.agents.agents.table import AgentTable, VersionTable
from services.agents.errors import AgentNotFound, UnknownProject, UnknownVersion, VersionNotFound
from services.agents.partitions import SLICE
from services.agents.projects.operations import ensure_project
from services.agents.projects.table import ProjectCopies, ProjectCopy
from shared.errors import DependencyUnavailable, IdempotencyKeyReused, PreconditionFailed
from shared.ids import new_id
from shared.storage.idempotency import AlreadyDone, IdempotencyKey
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.services.agents.bucket import InterleavedBucket

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD = NOW - timedelta(days=1)
TENANT = "acme"
PROJECT = new_id("prj", OLD)


def config(prompt: str = "one") -> AgentConfig:
    return AgentConfig(model="gpt-4", system_prompt=prompt)


def make_agent(
    store: Store,
    bucket: InterleavedBucket,
    *,
    project_id: str | None = None,
    idempotency_key: IdempotencyKey | None = None,
    prompt: str = "one",
) -> Agent:
    return operations.create_agent(
        store,
        bucket.documents,
        TENANT,
        agent_id=new_id("agt", NOW),
        details=AgentDetails("Support", None, project_id),
        agent_type="conversational",
        config=config(prompt),
        now=NOW,
        idempotency_key=idempotency_key,
    )


def publish(store: Store, bucket: InterleavedBucket, agent: Agent, prompt: str, *, live: bool = False) -> int:
    _, version = operations.publish_version(
        store, bucket.documents, TENANT, agent.agent_id, config=config(prompt), live=live, now=NOW
    )
    return version.version


def change(
    store: Store, bucket: InterleavedBucket, agent: Agent, patch: AgentUpdate, *, if_match: str | None = None
) -> Agent:
    return operations.change_agent(store, bucket.documents, TENANT, agent.agent_id, patch, now=NOW, if_match=if_match)


def prompt_of(store: Store, bucket: InterleavedBucket, agent: Agent, version: int) -> object:
    found = VersionTable(store, TENANT, agent.agent_id).get_number(version)
    return operations.read_config(bucket.documents, TENANT, found.config)["system_prompt"]


def outbox_event_ids(store: Store) -> list[str]:
    condition = Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")})
    return [str(item["SK"]).removeprefix("OUTBOX#") for item in store.query_all(condition)]


def idempotency_key(key: str = "key-1", *, fingerprint: str = "hash") -> IdempotencyKey:
    return IdempotencyKey(tenant_id=TENANT, scope="user:1 POST /agents", key=key, fingerprint=fingerprint, now=NOW)


class TestCreateAgent:
    def test_stores_the_agent_its_version_and_its_config(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        assert AgentTable(store, TENANT).get(agent.agent_id) == agent
        version = VersionTable(store, TENANT, agent.agent_id).get_number(1)
        assert version.config == agent.live_config
        assert version.config.key.startswith(f"tenants/acme/agents/{agent.agent_id}/versions/1-")
        assert prompt_of(store, bucket, agent, 1) == "one"

    def test_publishes_both_events_with_the_change(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        assert outbox_event_ids(store) == [f"{agent.agent_id}:1:created", f"{agent.agent_id}:1:published"]

    def test_repeated_request_creates_no_second_agent(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket, idempotency_key=idempotency_key())
        with pytest.raises(AlreadyDone) as done:
            make_agent(store, bucket, idempotency_key=idempotency_key())
        assert done.value.resource_id == agent.agent_id
        assert AgentTable(store, TENANT).page(limit=10, after=None) == ([agent], None)

    def test_refuses_a_key_of_another_request(self, store: Store, bucket: InterleavedBucket) -> None:
        make_agent(store, bucket, idempotency_key=idempotency_key())
        with pytest.raises(IdempotencyKeyReused):
            make_agent(store, bucket, idempotency_key=idempotency_key(fingerprint="something else"))

    def test_refuses_a_project_that_is_deleted_before_the_write(self, store: Store, bucket: InterleavedBucket) -> None:
        ProjectCopies(store, TENANT).keep(ProjectCopy(PROJECT, 1, deleted=False))
        bucket.after_next_write = lambda: operations.empty_project(store, TENANT, PROJECT, seq=2, now=NOW)
        with pytest.raises(UnknownProject):
            make_agent(store, bucket, project_id=PROJECT)
        assert AgentTable(store, TENANT).page(limit=10, after=None) == ([], None)
        assert outbox_event_ids(store) == []


class TestEnsureProject:
    def test_accepts_a_known_project(self, store: Store) -> None:
        ProjectCopies(store, TENANT).keep(ProjectCopy(PROJECT, 1, deleted=False))
        ensure_project(store, TENANT, PROJECT, now=NOW)

    def test_does_not_wait_for_an_old_project(self, store: Store) -> None:
        with pytest.raises(UnknownProject) as refused:
            ensure_project(store, TENANT, PROJECT, now=NOW, wait=_fail_on_wait)
        assert [detail.field for detail in refused.value.details] == ["project_id"]

    def test_does_not_wait_for_a_deleted_project(self, store: Store) -> None:
        young = new_id("prj", NOW)
        ProjectCopies(store, TENANT).keep(ProjectCopy(young, 2, deleted=True))
        with pytest.raises(UnknownProject):
            ensure_project(store, TENANT, young, now=NOW, wait=_fail_on_wait)

    def test_refuses_another_tenants_project(self, store: Store) -> None:
        ProjectCopies(store, "other").keep(ProjectCopy(PROJECT, 1, deleted=False))
        with pytest.raises(UnknownProject):
            ensure_project(store, TENANT, PROJECT, now=NOW)

    def test_waits_for_a_project_created_a_moment_ago(self, store: Store) -> None:
        young = new_id("prj", NOW)

        def wait(read: Callable[[], bool | None]) -> bool:
            assert read() is None
            ProjectCopies(store, TENANT).keep(ProjectCopy(young, 1, deleted=False))
            return bool(read())

        ensure_project(store, TENANT, young, now=NOW, wait=wait)

    def test_fails_if_the_event_of_a_new_project_does_not_arrive(self, store: Store) -> None:
        def wait(_: Callable[[], bool | None]) -> bool:
            msg = "waited in vain"
            raise DependencyUnavailable(msg)

        with pytest.raises(DependencyUnavailable):
            ensure_project(store, TENANT, new_id("prj", NOW), now=NOW, wait=wait)


class TestChangeAgent:
    def test_merges(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        details = change(store, bucket, agent, AgentUpdate(description="Answers"))
        renamed = change(store, bucket, details, AgentUpdate(name="Sales"))
        assert (renamed.name, renamed.description, renamed.seq) == ("Sales", "Answers", 3)
        cleared = change(store, bucket, renamed, AgentUpdate(clears_description=True))
        assert (cleared.name, cleared.description) == ("Sales", None)
        assert AgentTable(store, TENANT).get(agent.agent_id) == cleared

    def test_makes_a_config_the_live_version(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        changed = change(store, bucket, agent, AgentUpdate(name="Sales", config=config("two")))
        assert (changed.live_version, changed.latest_version, changed.name) == (2, 2, "Sales")
        assert outbox_event_ids(store)[2:] == [f"{agent.agent_id}:2:alias_moved", f"{agent.agent_id}:2:published"]

    def test_refuses_an_outdated_if_match(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        change(store, bucket, agent, AgentUpdate(name="Sales"))
        with pytest.raises(PreconditionFailed):
            change(store, bucket, agent, AgentUpdate(name="Mine"), if_match='"1"')
        assert AgentTable(store, TENANT).get(agent.agent_id).name == "Sales"

    def test_adds_to_a_project_and_removes_from_it(self, store: Store, bucket: InterleavedBucket) -> None:
        ProjectCopies(store, TENANT).keep(ProjectCopy(PROJECT, 1, deleted=False))
        agent = make_agent(store, bucket)
        assert change(store, bucket, agent, AgentUpdate(project_id=PROJECT)).project_id == PROJECT
        assert change(store, bucket, agent, AgentUpdate(clears_project=True)).project_id is None

    def test_refuses_an_unknown_project(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        with pytest.raises(UnknownProject):
            change(store, bucket, agent, AgentUpdate(project_id=PROJECT))

    def test_can_be_renamed_after_its_project_is_deleted(self, store: Store, bucket: InterleavedBucket) -> None:
        ProjectCopies(store, TENANT).keep(ProjectCopy(PROJECT, 1, deleted=False))
        agent = make_agent(store, bucket, project_id=PROJECT)
        ProjectCopies(store, TENANT).keep(ProjectCopy(PROJECT, 2, deleted=True))
        assert change(store, bucket, agent, AgentUpdate(name="Sales")).name == "Sales"


class TestPublishVersion:
    def test_keeps_earlier_versions(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        assert publish(store, bucket, agent, "two") == 2
        assert publish(store, bucket, agent, "three", live=True) == 3
        assert [prompt_of(store, bucket, agent, number) for number in (1, 2, 3)] == ["one", "two", "three"]
        now = AgentTable(store, TENANT).get(agent.agent_id)
        assert (now.live_version, now.latest_version) == (3, 3)

    def test_concurrent_publishes_get_different_numbers_and_keep_their_configs(
        self, store: Store, bucket: InterleavedBucket
    ) -> None:
        agent = make_agent(store, bucket)
        bucket.after_next_write = lambda: _is(publish(store, bucket, agent, "faster", live=True), 2)
        assert publish(store, bucket, agent, "slower") == 3
        assert prompt_of(store, bucket, agent, 2) == "faster"
        assert prompt_of(store, bucket, agent, 3) == "slower"
        now = AgentTable(store, TENANT).get(agent.agent_id)
        assert (now.live_version, now.latest_version) == (2, 3)

    def test_loser_does_not_overwrite_the_winners_object(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        bucket.after_next_write = lambda: _is(publish(store, bucket, agent, "faster"), 2)
        publish(store, bucket, agent, "slower")
        second_versions = [key for key in bucket.objects if "/versions/2-" in key]
        assert len(second_versions) == 2

    def test_refuses_a_change_that_lost_to_a_concurrent_one(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        bucket.after_next_write = lambda: _is(publish(store, bucket, agent, "faster"), 2)
        with pytest.raises(PreconditionFailed):
            change(store, bucket, agent, AgentUpdate(config=config("slower")), if_match='"1"')
        assert AgentTable(store, TENANT).get(agent.agent_id).latest_version == 2

    def test_fails_if_the_agent_is_deleted_concurrently(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        bucket.after_next_write = lambda: operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match=None)
        with pytest.raises(AgentNotFound):
            publish(store, bucket, agent, "two")
        with pytest.raises(VersionNotFound):
            VersionTable(store, TENANT, agent.agent_id).get_number(2)

    def test_repeated_request_publishes_nothing(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)

        def send() -> None:
            operations.publish_version(
                store,
                bucket.documents,
                TENANT,
                agent.agent_id,
                config=config("two"),
                live=True,
                now=NOW,
                idempotency_key=idempotency_key(),
            )

        send()
        with pytest.raises(AlreadyDone) as done:
            send()
        assert done.value.resource_id == f"{agent.agent_id}:2"
        assert AgentTable(store, TENANT).get(agent.agent_id).latest_version == 2

    def test_concurrent_repetitions_publish_once(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)

        def send() -> None:
            operations.publish_version(
                store,
                bucket.documents,
                TENANT,
                agent.agent_id,
                config=config("two"),
                live=True,
                now=NOW,
                idempotency_key=idempotency_key(),
            )

        bucket.after_next_write = send
        with pytest.raises(AlreadyDone):
            send()
        assert AgentTable(store, TENANT).get(agent.agent_id).latest_version == 2


class TestMoveAlias:
    def test_rolls_back(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        publish(store, bucket, agent, "two", live=True)
        moved = operations.move_alias(store, bucket.documents, TENANT, agent.agent_id, 1, now=NOW, if_match=None)
        assert (moved.live_version, moved.latest_version, moved.live_config) == (1, 2, agent.live_config)
        assert f"{agent.agent_id}:3:alias_moved" in outbox_event_ids(store)

    def test_publishes_nothing_if_the_version_is_live(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        assert (
            operations.move_alias(store, bucket.documents, TENANT, agent.agent_id, 1, now=NOW, if_match=None) == agent
        )
        assert len(outbox_event_ids(store)) == 2

    @pytest.mark.parametrize("version", [0, 2, 10_000_000, 10**2000])
    def test_refuses_a_version_that_was_never_published(
        self, store: Store, bucket: InterleavedBucket, version: int
    ) -> None:
        agent = make_agent(store, bucket)
        with pytest.raises(UnknownVersion):
            operations.move_alias(store, bucket.documents, TENANT, agent.agent_id, version, now=NOW, if_match=None)


class TestDeleteAgent:
    def test_keeps_its_versions_and_configs(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match='"1"')
        with pytest.raises(AgentNotFound):
            AgentTable(store, TENANT).get(agent.agent_id)
        assert prompt_of(store, bucket, agent, 1) == "one"
        assert f"{agent.agent_id}:deleted" in outbox_event_ids(store)

    def test_fails_for_a_deleted_agent(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match=None)
        with pytest.raises(AgentNotFound):
            operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match=None)

    def test_refuses_an_outdated_if_match(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        with pytest.raises(PreconditionFailed):
            operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match='"7"')


class TestList:
    def test_lists_agents_newest_first_page_by_page(self, store: Store, bucket: InterleavedBucket) -> None:
        made = [
            operations.create_agent(
                store,
                bucket.documents,
                TENANT,
                agent_id=new_id("agt", NOW + timedelta(seconds=second)),
                details=AgentDetails(f"Agent {second}", None, None),
                agent_type="conversational",
                config=config(),
                now=NOW,
            )
            for second in range(3)
        ]
        ProjectCopies(store, TENANT).keep(ProjectCopy(PROJECT, 1, deleted=False))
        first, place = AgentTable(store, TENANT).page(limit=2, after=None)
        rest, end = AgentTable(store, TENANT).page(limit=2, after=place)
        assert [*first, *rest] == made[::-1]
        assert end is None

    def test_lists_versions_newest_first(self, store: Store, bucket: InterleavedBucket) -> None:
        agent = make_agent(store, bucket)
        for number in range(2, 12):
            publish(store, bucket, agent, str(number))
        versions, place = VersionTable(store, TENANT, agent.agent_id).page(limit=2, after=None)
        assert [version.version for version in versions] == [11, 10]
        versions, _ = VersionTable(store, TENANT, agent.agent_id).page(limit=2, after=place)
        assert [version.version for version in versions] == [9, 8]


def _is(found: int, expected: int) -> None:
    assert found == expected


def _fail_on_wait(_: Callable[[], bool | None]) -> bool:
    pytest.fail("waited")


def test_items_have_the_documented_keys(store: Store, bucket: InterleavedBucket) -> None:
    agent = make_agent(store, bucket)
    assert store.get(Key("TENANT#acme#AGENTS", f"AGENT#{agent.agent_id}"))
    assert store.get(Key(f"TENANT#acme#AGENTS#AGENT#{agent.agent_id}", "VERSION#0000001"))
