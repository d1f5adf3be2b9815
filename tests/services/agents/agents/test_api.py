"""The routes of agents, as the gateway calls them."""

import re
from datetime import UTC, datetime
from threading import Timer

import pytest

from services.agents import table, wiring
from services.agents.service import SERVICE
from shared.http.token import seal
from shared.ids import new_id, pattern
from shared.tenancy.permissions import Role
from tests import gateway
from tests.forged import forged_place
from tests.services.agents.callers import AGENTS, CONFIG, NEW, TENANT, Client, know_tenant
from tests.tenants import Status

AGENT = f"{AGENTS}/{{agent_id}}"
VERSIONS = f"{AGENT}/versions"
VERSION = f"{VERSIONS}/{{version}}"
ALIAS = f"{AGENT}/alias"
UNKNOWN = "agt_01JDAAAAAAAAAAAAAAAAAAAAAA"
OLD_PROJECT = new_id("prj", datetime(2026, 1, 1, tzinfo=UTC))


pytestmark = pytest.mark.usefixtures("mesh")


@pytest.fixture
def developer() -> Client:
    """Who may change agents."""
    return Client()


class TestCreate:
    def test_answers_with_the_agent_and_where_it_is(self, developer: Client) -> None:
        answer = developer.call("POST", AGENTS, NEW)
        assert answer.status == 201
        agent = answer.agent
        assert answer.headers["Location"] == f"/v1/tenants/demo-org/agents/{agent['agent_id']}"
        assert answer.headers["ETag"] == '"1"'
        assert answer.body["requestId"] == gateway.REQUEST_ID
        assert {name: value for name, value in agent.items() if not name.endswith(("_id", "_at"))} == {
            "name": "Test Agent",
            "description": None,
            "type": "conversational",
            "version": 1,
            "latest_version": 1,
            "config": CONFIG,
        }
        assert agent["project_id"] is None
        assert agent["created_at"] == agent["updated_at"]
        assert re.fullmatch(pattern("agt"), agent["agent_id"])

    @pytest.mark.parametrize(
        ("changes", "wrong"),
        [
            ({"colour": "red"}, "colour"),
            ({"type": "autonomous"}, "type"),
            ({"type": None}, "type"),
            ({"name": ""}, "name"),
            ({"name": 5}, "name"),
            ({"project_id": "prj_1"}, "project_id"),
            ({"project_id": OLD_PROJECT}, "project_id"),
            ({"project_id": "prj_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"}, "project_id"),
            ({"config": {}}, "config.model"),
            ({"config": None}, "config"),
            ({"config": {"model": "gpt-4", "top_k": 1}}, "config.top_k"),
            ({"config": {"model": "gpt-4", "temperature": 3}}, "config.temperature"),
            ({"config": {"model": "gpt-4", "base_url": "http://x"}}, "config.base_url"),
        ],
    )
    def test_says_which_field_is_wrong(self, developer: Client, changes: dict[str, object], wrong: str) -> None:
        answer = developer.call("POST", AGENTS, {**NEW, **changes})
        assert (answer.status, answer.body["error"]) == (422, "ValidationFailed")
        assert answer.fields == [wrong]

    @pytest.mark.parametrize("missing", ["name", "type", "config"])
    def test_says_which_field_is_missing(self, developer: Client, missing: str) -> None:
        answer = developer.call("POST", AGENTS, {name: value for name, value in NEW.items() if name != missing})
        assert (answer.status, answer.fields) == (422, [missing])

    def test_a_body_that_is_no_json_is_malformed(self, developer: Client) -> None:
        answer = developer.call("POST", AGENTS, "{")
        assert (answer.status, answer.body["error"]) == (400, "BadRequest")

    def test_lets_it_into_a_project(self, developer: Client) -> None:
        table.keep_project(wiring.slice_store(), TENANT, OLD_PROJECT, seq=1, deleted=False)
        assert developer.create(project_id=OLD_PROJECT)["project_id"] == OLD_PROJECT

    def test_waits_for_a_project_that_was_made_a_moment_ago(self, developer: Client) -> None:
        project_id, store = new_id("prj", datetime.now(UTC)), wiring.slice_store()
        news = Timer(0.1, lambda: table.keep_project(store, TENANT, project_id, seq=1, deleted=False))
        news.start()
        assert developer.create(project_id=project_id)["project_id"] == project_id
        news.join()


class TestIdempotencyKey:
    def test_the_same_request_again_is_answered_again(self, developer: Client) -> None:
        first = developer.call("POST", AGENTS, NEW, Idempotency_Key="one")
        again = developer.call("POST", AGENTS, NEW, Idempotency_Key="one")
        assert (again.status, again.agent) == (201, first.agent)
        assert again.headers["Location"] == first.headers["Location"]
        assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
        assert len(developer.call("GET", AGENTS).body["agents"]) == 1

    def test_another_body_is_refused(self, developer: Client) -> None:
        developer.call("POST", AGENTS, NEW, Idempotency_Key="one")
        answer = developer.call("POST", AGENTS, {**NEW, "name": "Other"}, Idempotency_Key="one")
        assert (answer.status, answer.body["error"]) == (422, "IdempotencyKeyReused")

    def test_a_version_is_published_once(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        body = {"config": {"model": "gpt-5"}, "live": True}
        first = developer.call("POST", VERSIONS, body, agent_id=agent_id, Idempotency_Key="one")
        again = developer.call("POST", VERSIONS, body, agent_id=agent_id, Idempotency_Key="one")
        assert (again.status, again.body["version"]) == (201, first.body["version"])
        assert again.headers["Location"] == first.headers["Location"]
        assert developer.call("GET", AGENT, agent_id=agent_id).agent["latest_version"] == 2


class TestGet:
    def test_shows_the_agent_with_its_live_config(self, developer: Client) -> None:
        agent = developer.create()
        answer = Client(Role.OBSERVER).call("GET", AGENT, agent_id=agent["agent_id"])
        assert (answer.status, answer.agent, answer.headers["ETag"]) == (200, agent, '"1"')

    def test_one_that_does_not_exist(self, developer: Client) -> None:
        answer = developer.call("GET", AGENT, agent_id=UNKNOWN)
        assert (answer.status, answer.body["error"]) == (404, "NotFound")

    def test_another_tenants_agent_is_not_found_under_my_path(self, developer: Client) -> None:
        agent = developer.create()
        assert Client(tenant_id="other").call("GET", AGENT, agent_id=agent["agent_id"]).status == 403


class TestList:
    def test_pages_newest_first_without_configs(self, developer: Client) -> None:
        made = [developer.create(name=f"Agent {number}") for number in range(3)]
        first = developer.call("GET", AGENTS, query={"limit": "2"})
        token = first.body["pagination"]["nextToken"]
        rest = developer.call("GET", AGENTS, query={"limit": "2", "next_token": token})
        rows = [*first.body["agents"], *rest.body["agents"]]
        assert sorted(row["name"] for row in rows) == ["Agent 0", "Agent 1", "Agent 2"]
        assert (len(first.body["agents"]), rest.body["pagination"]) == (2, {"nextToken": None, "hasMore": False})
        assert {"config"} == set(made[0]) - set(rows[0])

    def test_an_empty_tenant(self, developer: Client) -> None:
        answer = developer.call("GET", AGENTS)
        assert (answer.status, answer.body["agents"]) == (200, [])

    def test_a_token_of_another_list_is_refused(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        developer.create()
        token = developer.call("GET", AGENTS, query={"limit": "1"}).body["pagination"]["nextToken"]
        answer = developer.call("GET", VERSIONS, agent_id=agent_id, query={"next_token": token})
        assert answer.status == 400

    @pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"status": "live"}])
    def test_refuses_a_query_that_it_does_not_know(self, developer: Client, query: dict[str, str]) -> None:
        answer = developer.call("GET", AGENTS, query=query)
        assert (answer.status, answer.fields) == (422, list(query))


class TestChange:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_merges(self, developer: Client, method: str) -> None:
        agent = developer.create(description="Answers")
        answer = developer.call(method, AGENT, {"name": "Sales"}, agent_id=agent["agent_id"])
        assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
        assert answer.agent == agent | {"name": "Sales", "updated_at": answer.agent["updated_at"]}

    def test_null_clears(self, developer: Client) -> None:
        agent = developer.create(description="Answers")
        answer = developer.call("PUT", AGENT, {"description": None}, agent_id=agent["agent_id"])
        assert (answer.status, answer.agent["description"]) == (200, None)

    def test_a_config_is_replaced_whole_and_goes_live(self, developer: Client) -> None:
        agent = developer.create()
        answer = developer.call("PUT", AGENT, {"config": {"model": "gpt-5"}}, agent_id=agent["agent_id"])
        assert (answer.agent["version"], answer.agent["latest_version"]) == (2, 2)
        assert answer.agent["config"] == {"model": "gpt-5"}

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({"version": 2}, "version"),
            ({"type": "conversational"}, "type"),
            ({"name": None}, "name"),
            ({"config": None}, "config"),
            ({"config": {}}, "config.model"),
            ({"project_id": OLD_PROJECT}, "project_id"),
        ],
    )
    def test_says_which_field_is_wrong(self, developer: Client, body: object, wrong: str) -> None:
        agent = developer.create()
        answer = developer.call("PUT", AGENT, body, agent_id=agent["agent_id"])
        assert (answer.status, answer.fields) == (422, [wrong])

    def test_one_that_changed_since_it_was_read(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        assert developer.call("PUT", AGENT, {"name": "A"}, agent_id=agent_id, If_Match='"1"').status == 200
        answer = developer.call("PUT", AGENT, {"name": "B"}, agent_id=agent_id, If_Match='"1"')
        assert (answer.status, answer.body["error"]) == (412, "PreconditionFailed")
        assert developer.call("GET", AGENT, agent_id=agent_id).agent["name"] == "A"

    def test_one_that_does_not_exist(self, developer: Client) -> None:
        assert developer.call("PUT", AGENT, {"name": "A"}, agent_id=UNKNOWN).status == 404


class TestDelete:
    def test_answers_nothing_and_then_it_is_gone(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        answer = developer.call("DELETE", AGENT, agent_id=agent_id)
        assert (answer.status, answer.body) == (204, None)
        assert developer.call("DELETE", AGENT, agent_id=agent_id).status == 404
        assert developer.call("GET", VERSIONS, agent_id=agent_id).status == 404
        assert developer.call("GET", VERSION, agent_id=agent_id, version="1").status == 404

    def test_one_that_changed_since_it_was_read(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        assert developer.call("DELETE", AGENT, agent_id=agent_id, If_Match='"9"').status == 412


class TestVersions:
    def test_one_is_published_and_does_not_go_live_by_itself(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        answer = developer.call("POST", VERSIONS, {"config": {"model": "gpt-5"}}, agent_id=agent_id)
        assert answer.status == 201
        assert answer.headers["Location"] == f"/v1/tenants/demo-org/agents/{agent_id}/versions/2"
        version = answer.body["version"]
        assert (version["version"], version["live"], version["config"]) == (2, False, {"model": "gpt-5"})
        agent = developer.call("GET", AGENT, agent_id=agent_id).agent
        assert (agent["version"], agent["latest_version"], agent["config"]) == (1, 2, CONFIG)

    def test_one_goes_live_when_asked(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        answer = developer.call("POST", VERSIONS, {"config": {"model": "gpt-5"}, "live": True}, agent_id=agent_id)
        assert answer.body["version"]["live"] is True
        assert developer.call("GET", AGENT, agent_id=agent_id).agent["config"] == {"model": "gpt-5"}

    def test_an_old_one_stays_as_it_was(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        developer.call("POST", VERSIONS, {"config": {"model": "gpt-5"}, "live": True}, agent_id=agent_id)
        answer = Client(Role.OBSERVER).call("GET", VERSION, agent_id=agent_id, version="1")
        assert answer.status == 200
        assert (answer.body["version"]["config"], answer.body["version"]["live"]) == (CONFIG, False)

    def test_the_list_has_no_configs(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        developer.call("POST", VERSIONS, {"config": CONFIG}, agent_id=agent_id)
        answer = developer.call("GET", VERSIONS, agent_id=agent_id)
        assert [(row["version"], row["live"]) for row in answer.body["versions"]] == [(2, False), (1, True)]
        assert "config" not in answer.body["versions"][0]

    @pytest.mark.parametrize(("version", "status"), [("2", 404), ("0", 404), ("-1", 404), ("latest", 422)])
    def test_one_that_was_never_published(self, developer: Client, version: str, status: int) -> None:
        agent_id = developer.create()["agent_id"]
        assert developer.call("GET", VERSION, agent_id=agent_id, version=version).status == status

    @pytest.mark.parametrize(
        ("body", "wrong"), [({}, "config"), ({"config": CONFIG, "live": "yes"}, "live"), ({"version": 3}, "version")]
    )
    def test_says_which_field_is_wrong(self, developer: Client, body: object, wrong: str) -> None:
        answer = developer.call("POST", VERSIONS, body, agent_id=developer.create()["agent_id"])
        assert answer.status == 422
        assert wrong in answer.fields

    def test_none_for_an_agent_that_does_not_exist(self, developer: Client) -> None:
        assert developer.call("POST", VERSIONS, {"config": CONFIG}, agent_id=UNKNOWN).status == 404
        assert developer.call("GET", VERSIONS, agent_id=UNKNOWN).status == 404


class TestAlias:
    def test_moves_forth_and_back(self, developer: Client) -> None:
        agent_id = developer.create()["agent_id"]
        developer.call("POST", VERSIONS, {"config": {"model": "gpt-5"}}, agent_id=agent_id)
        forth = developer.call("PATCH", ALIAS, {"version": 2}, agent_id=agent_id)
        assert (forth.status, forth.agent["version"], forth.agent["config"]) == (200, 2, {"model": "gpt-5"})
        back = developer.call("PUT", ALIAS, {"version": 1}, agent_id=agent_id, If_Match=forth.headers["ETag"])
        assert (back.status, back.agent["version"], back.agent["latest_version"]) == (200, 1, 2)

    @pytest.mark.parametrize("version", [2, 0, "1", None, 10**2000])
    def test_refuses_what_is_no_version(self, developer: Client, version: object) -> None:
        agent_id = developer.create()["agent_id"]
        answer = developer.call("PUT", ALIAS, {"version": version}, agent_id=agent_id)
        assert (answer.status, answer.fields) == (422, ["version"])

    def test_of_an_agent_that_does_not_exist(self, developer: Client) -> None:
        assert developer.call("PUT", ALIAS, {"version": 1}, agent_id=UNKNOWN).status == 404


class TestWhoMay:
    @pytest.mark.parametrize("role", [Role.OBSERVER, Role.ANALYST])
    def test_reading_roles_change_nothing(self, role: Role) -> None:
        assert Client(role).call("POST", AGENTS, NEW).status == 403
        assert Client(role).call("PUT", ALIAS, {"version": 1}, agent_id=UNKNOWN).status == 403
        assert Client(role).call("GET", AGENTS).status == 200

    def test_another_tenants_user_may_nothing(self) -> None:
        other = Client(Role.TENANT_ADMIN, tenant_id="other")
        assert (other.call("GET", AGENTS).status, other.call("POST", AGENTS, NEW).status) == (403, 403)

    def test_a_token_without_the_feature_reads_only(self) -> None:
        narrowed = Client(features=("experiments",))
        answer = narrowed.call("POST", AGENTS, NEW)
        assert (answer.status, answer.body["error"]) == (403, "Forbidden")
        assert narrowed.call("GET", AGENTS).status == 200

    def test_a_plan_without_the_feature_does_not_allow_it(self, developer: Client) -> None:
        know_tenant(seq=2, features=("linting",))
        assert developer.call("POST", AGENTS, NEW).status == 403

    @pytest.mark.parametrize(("status", "expected"), [("suspended", 403), ("suspended_by_billing", 402)])
    def test_a_suspended_tenant_reads_only(self, developer: Client, status: Status, expected: int) -> None:
        know_tenant(seq=2, status=status)
        assert developer.call("POST", AGENTS, NEW).status == expected
        assert developer.call("GET", AGENTS).status == 200


class TestDeclaration:
    def test_every_change_needs_a_developer_with_the_feature_and_keys_an_admin(self) -> None:
        changes = [route for route in SERVICE.routes if route.method != "GET"]
        keys = {route for route in changes if "/provider-keys/" in route.path}
        assert {(route.least, route.feature) for route in keys} == {(Role.TENANT_ADMIN, "agents")}
        assert {(route.least, route.feature) for route in set(changes) - keys} == {(Role.DEVELOPER, "agents")}

    def test_an_observer_may_read_everything(self) -> None:
        assert {route.least for route in SERVICE.routes if route.method == "GET"} == {Role.OBSERVER}


class TestForgedTokens:
    @forged_place
    def test_the_list_of_agents_refuses_each(self, developer: Client, place: str) -> None:
        assert developer.call("GET", AGENTS, query={"next_token": seal(place, TENANT, "agents")}).status == 400

    @forged_place
    def test_the_list_of_versions_refuses_each(self, developer: Client, place: str) -> None:
        agent_id = developer.create()["agent_id"]
        token = seal(place, TENANT, "versions", agent_id)
        assert developer.call("GET", VERSIONS, agent_id=agent_id, query={"next_token": token}).status == 400
