"""What the agents service does to its table and to the bucket."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.agents import operations, table
from services.agents.domain import Agent, AgentConfig, Description
from services.agents.errors import AgentNotFound, UnknownProject, UnknownVersion, VersionNotFound
from services.agents.operations import AgentPatch
from services.agents.table import SLICE
from shared.errors import DependencyUnavailable, IdempotencyKeyReused, PreconditionFailed
from shared.ids import new_id
from shared.storage.idempotency import AlreadyDone, Once
from shared.storage.items import Key
from shared.storage.store import Store
from shared.storage.transaction import Expression
from tests.services.agents.bucket import FakeBucket

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD = NOW - timedelta(days=1)
TENANT = "acme"
PROJECT = new_id("prj", OLD)


def config(prompt: str = "one") -> AgentConfig:
    return AgentConfig(model="gpt-4", system_prompt=prompt)


def make_agent(
    store: Store, bucket: FakeBucket, *, project_id: str | None = None, once: Once | None = None, prompt: str = "one"
) -> Agent:
    return operations.create_agent(
        store,
        bucket.documents,
        TENANT,
        agent_id=new_id("agt", NOW),
        described=Description("Support", None, project_id),
        agent_type="conversational",
        config=config(prompt),
        now=NOW,
        once=once,
    )


def publish(store: Store, bucket: FakeBucket, agent: Agent, prompt: str, *, live: bool = False) -> int:
    _, version = operations.publish_version(
        store, bucket.documents, TENANT, agent.agent_id, config=config(prompt), live=live, now=NOW
    )
    return version.version


def change(store: Store, bucket: FakeBucket, agent: Agent, patch: AgentPatch, *, if_match: str | None = None) -> Agent:
    return operations.change_agent(store, bucket.documents, TENANT, agent.agent_id, patch, now=NOW, if_match=if_match)


def prompt_of(store: Store, bucket: FakeBucket, agent: Agent, version: int) -> object:
    found = table.get_version(store, TENANT, agent.agent_id, version)
    return operations.read_config(bucket.documents, TENANT, found.config)["system_prompt"]


def said(store: Store) -> list[str]:
    condition = Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")})
    return [str(item["SK"]).removeprefix("OUTBOX#") for item in store.query_all(condition)]


def once(key: str = "key-1", *, fingerprint: str = "asked") -> Once:
    return Once(tenant_id=TENANT, scope="user:1 POST /agents", key=key, fingerprint=fingerprint, now=NOW)


class TestCreateAgent:
    def test_stores_the_agent_its_version_and_its_config(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        assert table.get_agent(store, TENANT, agent.agent_id) == agent
        version = table.get_version(store, TENANT, agent.agent_id, 1)
        assert version.config == agent.live_config
        assert version.config.key.startswith(f"tenants/acme/agents/{agent.agent_id}/versions/1-")
        assert prompt_of(store, bucket, agent, 1) == "one"

    def test_says_both_events_with_the_change(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        assert said(store) == [f"{agent.agent_id}:1:created", f"{agent.agent_id}:1:published"]

    def test_the_same_request_again_makes_no_second_agent(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket, once=once())
        with pytest.raises(AlreadyDone) as done:
            make_agent(store, bucket, once=once())
        assert done.value.resource_id == agent.agent_id
        assert table.list_agents(store, TENANT, limit=10, after=None) == ([agent], None)

    def test_a_key_of_another_request_is_refused(self, store: Store, bucket: FakeBucket) -> None:
        make_agent(store, bucket, once=once())
        with pytest.raises(IdempotencyKeyReused):
            make_agent(store, bucket, once=once(fingerprint="something else"))

    def test_refuses_a_project_that_is_deleted_before_it_is_written(self, store: Store, bucket: FakeBucket) -> None:
        table.keep_project(store, TENANT, PROJECT, seq=1, deleted=False)
        bucket.after_next_write = lambda: operations.empty_project(store, TENANT, PROJECT, seq=2, now=NOW)
        with pytest.raises(UnknownProject):
            make_agent(store, bucket, project_id=PROJECT)
        assert table.list_agents(store, TENANT, limit=10, after=None) == ([], None)
        assert said(store) == []


class TestEnsureProject:
    def test_lets_an_agent_into_a_known_project(self, store: Store) -> None:
        table.keep_project(store, TENANT, PROJECT, seq=1, deleted=False)
        operations.ensure_project(store, TENANT, PROJECT, now=NOW)

    def test_does_not_wait_for_an_old_one(self, store: Store) -> None:
        with pytest.raises(UnknownProject) as refused:
            operations.ensure_project(store, TENANT, PROJECT, now=NOW, wait=_must_not_wait)
        assert [detail.field for detail in refused.value.details] == ["project_id"]

    def test_does_not_wait_for_a_deleted_one_however_young(self, store: Store) -> None:
        young = new_id("prj", NOW)
        table.keep_project(store, TENANT, young, seq=2, deleted=True)
        with pytest.raises(UnknownProject):
            operations.ensure_project(store, TENANT, young, now=NOW, wait=_must_not_wait)

    def test_knows_nothing_of_another_tenants_projects(self, store: Store) -> None:
        table.keep_project(store, "other", PROJECT, seq=1, deleted=False)
        with pytest.raises(UnknownProject):
            operations.ensure_project(store, TENANT, PROJECT, now=NOW)

    def test_waits_for_one_that_was_made_a_moment_ago(self, store: Store) -> None:
        young = new_id("prj", NOW)

        def wait(read: Callable[[], bool | None]) -> bool:
            assert read() is None
            table.keep_project(store, TENANT, young, seq=1, deleted=False)
            return bool(read())

        operations.ensure_project(store, TENANT, young, now=NOW, wait=wait)

    def test_says_so_when_a_young_one_does_not_arrive(self, store: Store) -> None:
        def wait(_: Callable[[], bool | None]) -> bool:
            msg = "waited in vain"
            raise DependencyUnavailable(msg)

        with pytest.raises(DependencyUnavailable):
            operations.ensure_project(store, TENANT, new_id("prj", NOW), now=NOW, wait=wait)


class TestChangeAgent:
    def test_merges(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        described = change(store, bucket, agent, AgentPatch(description="Answers"))
        renamed = change(store, bucket, described, AgentPatch(name="Sales"))
        assert (renamed.name, renamed.description, renamed.seq) == ("Sales", "Answers", 3)
        cleared = change(store, bucket, renamed, AgentPatch(clears_description=True))
        assert (cleared.name, cleared.description) == ("Sales", None)
        assert table.get_agent(store, TENANT, agent.agent_id) == cleared

    def test_a_config_becomes_the_live_version(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        changed = change(store, bucket, agent, AgentPatch(name="Sales", config=config("two")))
        assert (changed.live_version, changed.latest_version, changed.name) == (2, 2, "Sales")
        assert said(store)[2:] == [f"{agent.agent_id}:2:alias_moved", f"{agent.agent_id}:2:published"]

    def test_refuses_another_version_than_the_caller_has_seen(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        change(store, bucket, agent, AgentPatch(name="Sales"))
        with pytest.raises(PreconditionFailed):
            change(store, bucket, agent, AgentPatch(name="Mine"), if_match='"1"')
        assert table.get_agent(store, TENANT, agent.agent_id).name == "Sales"

    def test_puts_it_into_a_project_and_takes_it_out(self, store: Store, bucket: FakeBucket) -> None:
        table.keep_project(store, TENANT, PROJECT, seq=1, deleted=False)
        agent = make_agent(store, bucket)
        assert change(store, bucket, agent, AgentPatch(project_id=PROJECT)).project_id == PROJECT
        assert change(store, bucket, agent, AgentPatch(clears_project=True)).project_id is None

    def test_refuses_an_unknown_project(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        with pytest.raises(UnknownProject):
            change(store, bucket, agent, AgentPatch(project_id=PROJECT))

    def test_can_be_renamed_while_its_project_goes(self, store: Store, bucket: FakeBucket) -> None:
        table.keep_project(store, TENANT, PROJECT, seq=1, deleted=False)
        agent = make_agent(store, bucket, project_id=PROJECT)
        table.keep_project(store, TENANT, PROJECT, seq=2, deleted=True)
        assert change(store, bucket, agent, AgentPatch(name="Sales")).name == "Sales"


class TestPublishVersion:
    def test_leaves_the_versions_before_it(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        assert publish(store, bucket, agent, "two") == 2
        assert publish(store, bucket, agent, "three", live=True) == 3
        assert [prompt_of(store, bucket, agent, number) for number in (1, 2, 3)] == ["one", "two", "three"]
        now = table.get_agent(store, TENANT, agent.agent_id)
        assert (now.live_version, now.latest_version) == (3, 3)

    def test_two_at_once_get_two_numbers_and_keep_their_configs(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        bucket.after_next_write = lambda: _is(publish(store, bucket, agent, "faster", live=True), 2)
        assert publish(store, bucket, agent, "slower") == 3
        assert prompt_of(store, bucket, agent, 2) == "faster"
        assert prompt_of(store, bucket, agent, 3) == "slower"
        now = table.get_agent(store, TENANT, agent.agent_id)
        assert (now.live_version, now.latest_version) == (2, 3)

    def test_a_loser_writes_no_object_of_the_winner(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        bucket.after_next_write = lambda: _is(publish(store, bucket, agent, "faster"), 2)
        publish(store, bucket, agent, "slower")
        second_versions = [key for key in bucket.objects if "/versions/2-" in key]
        assert len(second_versions) == 2

    def test_a_change_on_what_the_caller_has_seen_loses_to_a_faster_one(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        bucket.after_next_write = lambda: _is(publish(store, bucket, agent, "faster"), 2)
        with pytest.raises(PreconditionFailed):
            change(store, bucket, agent, AgentPatch(config=config("slower")), if_match='"1"')
        assert table.get_agent(store, TENANT, agent.agent_id).latest_version == 2

    def test_is_refused_when_the_agent_goes_meanwhile(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        bucket.after_next_write = lambda: operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match=None)
        with pytest.raises(AgentNotFound):
            publish(store, bucket, agent, "two")
        with pytest.raises(VersionNotFound):
            table.get_version(store, TENANT, agent.agent_id, 2)

    def test_the_same_request_again_publishes_nothing(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)

        def send() -> None:
            operations.publish_version(
                store, bucket.documents, TENANT, agent.agent_id, config=config("two"), live=True, now=NOW, once=once()
            )

        send()
        with pytest.raises(AlreadyDone) as done:
            send()
        assert done.value.resource_id == f"{agent.agent_id}:2"
        assert table.get_agent(store, TENANT, agent.agent_id).latest_version == 2

    def test_the_same_request_twice_at_once_publishes_once(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)

        def send() -> None:
            operations.publish_version(
                store, bucket.documents, TENANT, agent.agent_id, config=config("two"), live=True, now=NOW, once=once()
            )

        bucket.after_next_write = send
        with pytest.raises(AlreadyDone):
            send()
        assert table.get_agent(store, TENANT, agent.agent_id).latest_version == 2


class TestMoveAlias:
    def test_rolls_back(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        publish(store, bucket, agent, "two", live=True)
        moved = operations.move_alias(store, TENANT, agent.agent_id, 1, now=NOW, if_match=None)
        assert (moved.live_version, moved.latest_version, moved.live_config) == (1, 2, agent.live_config)
        assert f"{agent.agent_id}:3:alias_moved" in said(store)

    def test_says_nothing_when_it_is_live_already(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        assert operations.move_alias(store, TENANT, agent.agent_id, 1, now=NOW, if_match=None) == agent
        assert len(said(store)) == 2

    @pytest.mark.parametrize("version", [0, 2, 10_000_000, 10**2000])
    def test_refuses_a_version_that_was_never_published(self, store: Store, bucket: FakeBucket, version: int) -> None:
        agent = make_agent(store, bucket)
        with pytest.raises(UnknownVersion):
            operations.move_alias(store, TENANT, agent.agent_id, version, now=NOW, if_match=None)


class TestDeleteAgent:
    def test_leaves_its_versions_and_configs(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match='"1"')
        with pytest.raises(AgentNotFound):
            table.get_agent(store, TENANT, agent.agent_id)
        assert prompt_of(store, bucket, agent, 1) == "one"
        assert f"{agent.agent_id}:deleted" in said(store)

    def test_again_there_is_none(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match=None)
        with pytest.raises(AgentNotFound):
            operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match=None)

    def test_refuses_another_version_than_the_caller_has_seen(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        with pytest.raises(PreconditionFailed):
            operations.delete_agent(store, TENANT, agent.agent_id, now=NOW, if_match='"7"')


class TestList:
    def test_agents_newest_first_page_by_page(self, store: Store, bucket: FakeBucket) -> None:
        made = [
            operations.create_agent(
                store,
                bucket.documents,
                TENANT,
                agent_id=new_id("agt", NOW + timedelta(seconds=second)),
                described=Description(f"Agent {second}", None, None),
                agent_type="conversational",
                config=config(),
                now=NOW,
            )
            for second in range(3)
        ]
        table.keep_project(store, TENANT, PROJECT, seq=1, deleted=False)
        first, place = table.list_agents(store, TENANT, limit=2, after=None)
        rest, end = table.list_agents(store, TENANT, limit=2, after=place)
        assert [*first, *rest] == made[::-1]
        assert end is None

    def test_versions_newest_first(self, store: Store, bucket: FakeBucket) -> None:
        agent = make_agent(store, bucket)
        for number in range(2, 12):
            publish(store, bucket, agent, str(number))
        versions, place = table.list_versions(store, TENANT, agent.agent_id, limit=2, after=None)
        assert [version.version for version in versions] == [11, 10]
        versions, _ = table.list_versions(store, TENANT, agent.agent_id, limit=2, after=place)
        assert [version.version for version in versions] == [9, 8]


def _is(found: int, expected: int) -> None:
    assert found == expected


def _must_not_wait(_: Callable[[], bool | None]) -> bool:
    pytest.fail("waited")


def test_items_lie_under_their_keys(store: Store, bucket: FakeBucket) -> None:
    agent = make_agent(store, bucket)
    assert store.get(Key("TENANT#acme#AGENTS", f"AGENT#{agent.agent_id}"))
    assert store.get(Key(f"TENANT#acme#AGENTS#AGENT#{agent.agent_id}", "VERSION#0000001"))
