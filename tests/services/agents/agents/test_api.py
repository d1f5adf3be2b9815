"""The routes of agents."""

import re
from datetime import UTC, datetime
from threading import Timer

import pytest

from services.agents import wiring
from services.agents.projects.table import ProjectCopies, ProjectCopy
from services.agents.service import SERVICE
from shared.http.token import seal
from shared.ids import new_id, pattern
from shared.tenancy.permissions import Role
from tests import gateway
from tests.forged_cursors import every_forged_position
from tests.services.agents.callers import AGENTS, CONFIG, NEW, TENANT, AgentsClient, save_tenant_copy
from tests.tenants import Status

AGENT = f"{AGENTS}/{{agent_id}}"
VERSIONS = f"{AGENT}/versions"
VERSION = f"{VERSIONS}/{{version}}"
ALIAS = f"{AGENT}/alias"
UNKNOWN = "agt_01JDAAAAAAAAAAAAAAAAAAAAAA"
OLD_PROJECT = new_id("prj", datetime(2026, 1, 1, tzinfo=UTC))


pytestmark = pytest.mark.usefixtures("mesh")


@pytest.fixture
def developer() -> AgentsClient:
    """Return a client that may change agents."""
    return AgentsClient()


class TestCreate:
    def test_returns_201_with_the_agent_and_its_location(self, developer: AgentsClient) -> None:
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
            ({"name": "a\0b"}, "name"),
            ({"name": "\u202eb"}, "name"),
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
    def test_names_the_invalid_field(self, developer: AgentsClient, changes: dict[str, object], wrong: str) -> None:
        answer = developer.call("POST", AGENTS, {**NEW, **changes})
        assert (answer.status, answer.body["error"]) == (422, "ValidationFailed")
        assert answer.fields == [wrong]

    @pytest.mark.report(20)
    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"response_schema": {"type": "nonsense"}}, "config.response_schema"),
            ({"tools": [{"name": "a", "parameters": {"type": "nonsense"}}]}, "config.tools.0.parameters"),
        ],
        ids=str,
    )
    def test_refuses_a_schema_that_cannot_be_used(
        self, developer: AgentsClient, change: dict[str, object], field: str
    ) -> None:
        answer = developer.call("POST", AGENTS, {**NEW, "config": {**CONFIG, **change}})
        assert answer.status == 422
        [detail] = answer.body["details"]
        assert detail["field"] == field
        assert detail["message"].startswith("at /type: ")

    @pytest.mark.parametrize("missing", ["name", "type", "config"])
    def test_names_the_missing_field(self, developer: AgentsClient, missing: str) -> None:
        answer = developer.call("POST", AGENTS, {name: value for name, value in NEW.items() if name != missing})
        assert (answer.status, answer.fields) == (422, [missing])

    def test_returns_400_for_invalid_json(self, developer: AgentsClient) -> None:
        answer = developer.call("POST", AGENTS, "{")
        assert (answer.status, answer.body["error"]) == (400, "BadRequest")

    def test_accepts_a_project(self, developer: AgentsClient) -> None:
        ProjectCopies(wiring.slice_store(), TENANT).keep(ProjectCopy(OLD_PROJECT, 1, deleted=False))
        assert developer.create(project_id=OLD_PROJECT)["project_id"] == OLD_PROJECT

    def test_waits_for_a_project_created_a_moment_ago(self, developer: AgentsClient) -> None:
        project_id, store = new_id("prj", datetime.now(UTC)), wiring.slice_store()
        news = Timer(0.1, lambda: ProjectCopies(store, TENANT).keep(ProjectCopy(project_id, 1, deleted=False)))
        news.start()
        assert developer.create(project_id=project_id)["project_id"] == project_id
        news.join()


class TestIdempotencyKey:
    def test_replays_the_response_to_a_repeated_request(self, developer: AgentsClient) -> None:
        first = developer.call("POST", AGENTS, NEW, Idempotency_Key="one")
        again = developer.call("POST", AGENTS, NEW, Idempotency_Key="one")
        assert (again.status, again.agent) == (201, first.agent)
        assert again.headers["Location"] == first.headers["Location"]
        assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
        assert len(developer.call("GET", AGENTS).body["agents"]) == 1

    def test_refuses_the_key_with_another_body(self, developer: AgentsClient) -> None:
        developer.call("POST", AGENTS, NEW, Idempotency_Key="one")
        answer = developer.call("POST", AGENTS, {**NEW, "name": "Other"}, Idempotency_Key="one")
        assert (answer.status, answer.body["error"]) == (422, "IdempotencyKeyReused")

    def test_publishes_a_version_once(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        body = {"config": {"model": "gpt-5"}, "live": True}
        first = developer.call("POST", VERSIONS, body, agent_id=agent_id, Idempotency_Key="one")
        again = developer.call("POST", VERSIONS, body, agent_id=agent_id, Idempotency_Key="one")
        assert (again.status, again.body["version"]) == (201, first.body["version"])
        assert again.headers["Location"] == first.headers["Location"]
        assert developer.call("GET", AGENT, agent_id=agent_id).agent["latest_version"] == 2


class TestGet:
    def test_returns_the_agent_with_its_live_config(self, developer: AgentsClient) -> None:
        agent = developer.create()
        answer = AgentsClient(Role.OBSERVER).call("GET", AGENT, agent_id=agent["agent_id"])
        assert (answer.status, answer.agent, answer.headers["ETag"]) == (200, agent, '"1"')

    def test_returns_404_for_an_unknown_agent(self, developer: AgentsClient) -> None:
        answer = developer.call("GET", AGENT, agent_id=UNKNOWN)
        assert (answer.status, answer.body["error"]) == (404, "NotFound")

    def test_refuses_another_tenants_path(self, developer: AgentsClient) -> None:
        agent = developer.create()
        assert AgentsClient(tenant_id="other").call("GET", AGENT, agent_id=agent["agent_id"]).status == 403


class TestList:
    def test_lists_newest_first_without_configs(self, developer: AgentsClient) -> None:
        made = [developer.create(name=f"Agent {number}") for number in range(3)]
        first = developer.call("GET", AGENTS, query={"limit": "2"})
        token = first.body["pagination"]["nextToken"]
        rest = developer.call("GET", AGENTS, query={"limit": "2", "next_token": token})
        rows = [*first.body["agents"], *rest.body["agents"]]
        assert sorted(row["name"] for row in rows) == ["Agent 0", "Agent 1", "Agent 2"]
        assert (len(first.body["agents"]), rest.body["pagination"]) == (2, {"nextToken": None, "hasMore": False})
        assert {"config"} == set(made[0]) - set(rows[0])

    def test_returns_an_empty_list(self, developer: AgentsClient) -> None:
        answer = developer.call("GET", AGENTS)
        assert (answer.status, answer.body["agents"]) == (200, [])

    def test_refuses_a_token_of_another_list(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        developer.create()
        token = developer.call("GET", AGENTS, query={"limit": "1"}).body["pagination"]["nextToken"]
        answer = developer.call("GET", VERSIONS, agent_id=agent_id, query={"next_token": token})
        assert answer.status == 400

    @pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"status": "live"}])
    def test_refuses_an_invalid_query(self, developer: AgentsClient, query: dict[str, str]) -> None:
        answer = developer.call("GET", AGENTS, query=query)
        assert (answer.status, answer.fields) == (422, list(query))


class TestChange:
    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_merges(self, developer: AgentsClient, method: str) -> None:
        agent = developer.create(description="Answers")
        answer = developer.call(method, AGENT, {"name": "Sales"}, agent_id=agent["agent_id"])
        assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
        assert answer.agent == agent | {"name": "Sales", "updated_at": answer.agent["updated_at"]}

    def test_null_clears(self, developer: AgentsClient) -> None:
        agent = developer.create(description="Answers")
        answer = developer.call("PUT", AGENT, {"description": None}, agent_id=agent["agent_id"])
        assert (answer.status, answer.agent["description"]) == (200, None)

    def test_replaces_a_description_with_an_empty_one(self, developer: AgentsClient) -> None:
        agent = developer.create(description="Answers")
        answer = developer.call("PATCH", AGENT, {"description": ""}, agent_id=agent["agent_id"])
        assert (answer.status, answer.agent["description"]) == (200, "")

    def test_replaces_the_whole_config_and_makes_it_live(self, developer: AgentsClient) -> None:
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
    def test_names_the_invalid_field(self, developer: AgentsClient, body: object, wrong: str) -> None:
        agent = developer.create()
        answer = developer.call("PUT", AGENT, body, agent_id=agent["agent_id"])
        assert (answer.status, answer.fields) == (422, [wrong])

    def test_returns_412_for_an_agent_that_changed(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        assert developer.call("PUT", AGENT, {"name": "A"}, agent_id=agent_id, If_Match='"1"').status == 200
        answer = developer.call("PUT", AGENT, {"name": "B"}, agent_id=agent_id, If_Match='"1"')
        assert (answer.status, answer.body["error"]) == (412, "PreconditionFailed")
        assert developer.call("GET", AGENT, agent_id=agent_id).agent["name"] == "A"

    def test_returns_404_for_an_unknown_agent(self, developer: AgentsClient) -> None:
        assert developer.call("PUT", AGENT, {"name": "A"}, agent_id=UNKNOWN).status == 404


class TestModelNames:
    """A name that implies no provider is refused wherever a config is given."""

    NEAREST = "the nearest names are claude-sonnet-4-5, claude-sonnet-5-5 and claude-sonnet-4-6"

    @pytest.mark.parametrize(
        ("config", "field"),
        [
            ({"model": "claud-sonnet-4-5"}, "config.model"),
            ({"model": "gpt-4", "fallbacks": ["claude-opus-5", "claud-sonnet-4-5"]}, "config.fallbacks.1"),
            (
                {"model": "llama-3", "base_url": "https://llm.example", "fallbacks": ["claud-sonnet-4-5"]},
                "config.fallbacks.0",
            ),
        ],
    )
    def test_are_refused_with_the_nearest_names(
        self, developer: AgentsClient, config: dict[str, object], field: str
    ) -> None:
        agent_id = developer.create()["agent_id"]
        answers = (
            developer.call("POST", AGENTS, {**NEW, "config": config}),
            developer.call("POST", VERSIONS, {"config": config}, agent_id=agent_id),
            developer.call("PATCH", AGENT, {"config": config}, agent_id=agent_id),
        )
        for answer in answers:
            assert (answer.status, answer.fields) == (422, [field])
            assert self.NEAREST in answer.body["details"][0]["message"]
        assert developer.call("GET", AGENT, agent_id=agent_id).agent["latest_version"] == 1

    @pytest.mark.parametrize(
        "config",
        [
            {"model": "openai/gpt-5.4", "fallbacks": ["Anthropic/Claude-Opus-5", "bedrock/imported"]},
            {"model": "GPT-5.4"},
            {"model": "o5-mini"},
            {"model": "meta-llama/Llama-3", "base_url": "https://llm.example"},
            {"model": "mine", "provider": "bedrock"},
            {
                "model": "prod",
                "base_url": "https://acme.openai.azure.com/openai/v1",
                "fallbacks": ["azure/spare", "gpt-4o"],
            },
        ],
    )
    def test_are_stored_as_they_were_given(self, developer: AgentsClient, config: dict[str, object]) -> None:
        assert developer.create(config=config)["config"] == config

    @pytest.mark.parametrize(
        ("config", "field"),
        [
            ({"model": "openai/gpt-4o", "provider": "anthropic"}, "config.model"),
            ({"model": "azure/prod"}, "config.model"),
            ({"model": "gpt-4o", "fallbacks": ["azure/prod"]}, "config.fallbacks.0"),
            ({"model": "m", "base_url": "https://llm.example", "fallbacks": ["azure/prod"]}, "config.fallbacks.0"),
        ],
    )
    def test_are_refused_with_a_prefix_that_contradicts(
        self, developer: AgentsClient, config: dict[str, object], field: str
    ) -> None:
        answer = developer.call("POST", AGENTS, {**NEW, "config": config})
        assert (answer.status, answer.fields) == (422, [field])


class TestPrice:
    def test_is_stored_exactly_as_text(self, developer: AgentsClient) -> None:
        price = {"input_per_million_usd": 0.1, "output_per_million_usd": "2.500001"}
        agent = developer.create(config={"model": "llama", "base_url": "https://llm.example", "price": price})
        assert agent["config"]["price"] == {"input_per_million_usd": "0.1", "output_per_million_usd": "2.500001"}
        stored = agent["config"]
        assert developer.create(config=stored)["config"] == stored

    @pytest.mark.parametrize(
        ("price", "wrong"),
        [
            ({"input_per_million_usd": 1}, "output_per_million_usd"),
            ({"input_per_million_usd": -1, "output_per_million_usd": 1}, "input_per_million_usd"),
            ({"input_per_million_usd": "0.0000001", "output_per_million_usd": 1}, "input_per_million_usd"),
            ({"input_per_million_usd": "NaN", "output_per_million_usd": 1}, "input_per_million_usd"),
            ({"input_per_million_usd": 1, "output_per_million_usd": 1_000_001}, "output_per_million_usd"),
            ({"input_per_million_usd": 1, "output_per_million_usd": 1, "image": 1}, "image"),
        ],
    )
    def test_names_the_invalid_field(self, developer: AgentsClient, price: object, wrong: str) -> None:
        answer = developer.call("POST", AGENTS, {**NEW, "config": {"model": "gpt-4", "price": price}})
        assert (answer.status, answer.fields) == (422, [f"config.price.{wrong}"])


class TestDelete:
    def test_returns_204_then_404(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        answer = developer.call("DELETE", AGENT, agent_id=agent_id)
        assert (answer.status, answer.body) == (204, None)
        assert developer.call("DELETE", AGENT, agent_id=agent_id).status == 404
        assert developer.call("GET", VERSIONS, agent_id=agent_id).status == 404
        assert developer.call("GET", VERSION, agent_id=agent_id, version="1").status == 404

    def test_returns_412_for_an_agent_that_changed(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        assert developer.call("DELETE", AGENT, agent_id=agent_id, If_Match='"9"').status == 412


class TestVersions:
    def test_publishes_a_version_that_is_not_live(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        answer = developer.call("POST", VERSIONS, {"config": {"model": "gpt-5"}}, agent_id=agent_id)
        assert answer.status == 201
        assert answer.headers["Location"] == f"/v1/tenants/demo-org/agents/{agent_id}/versions/2"
        version = answer.body["version"]
        assert (version["version"], version["live"], version["config"]) == (2, False, {"model": "gpt-5"})
        agent = developer.call("GET", AGENT, agent_id=agent_id).agent
        assert (agent["version"], agent["latest_version"], agent["config"]) == (1, 2, CONFIG)

    def test_publishes_a_live_version(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        answer = developer.call("POST", VERSIONS, {"config": {"model": "gpt-5"}, "live": True}, agent_id=agent_id)
        assert answer.body["version"]["live"] is True
        assert developer.call("GET", AGENT, agent_id=agent_id).agent["config"] == {"model": "gpt-5"}

    def test_earlier_version_is_unchanged(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        developer.call("POST", VERSIONS, {"config": {"model": "gpt-5"}, "live": True}, agent_id=agent_id)
        answer = AgentsClient(Role.OBSERVER).call("GET", VERSION, agent_id=agent_id, version="1")
        assert answer.status == 200
        assert (answer.body["version"]["config"], answer.body["version"]["live"]) == (CONFIG, False)

    def test_list_omits_configs(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        developer.call("POST", VERSIONS, {"config": CONFIG}, agent_id=agent_id)
        answer = developer.call("GET", VERSIONS, agent_id=agent_id)
        assert [(row["version"], row["live"]) for row in answer.body["versions"]] == [(2, False), (1, True)]
        assert "config" not in answer.body["versions"][0]

    @pytest.mark.parametrize(("version", "status"), [("2", 404), ("0", 404), ("-1", 404), ("latest", 422)])
    def test_returns_404_for_an_unpublished_version(self, developer: AgentsClient, version: str, status: int) -> None:
        agent_id = developer.create()["agent_id"]
        assert developer.call("GET", VERSION, agent_id=agent_id, version=version).status == status

    @pytest.mark.parametrize(
        ("body", "wrong"), [({}, "config"), ({"config": CONFIG, "live": "yes"}, "live"), ({"version": 3}, "version")]
    )
    def test_names_the_invalid_field(self, developer: AgentsClient, body: object, wrong: str) -> None:
        answer = developer.call("POST", VERSIONS, body, agent_id=developer.create()["agent_id"])
        assert answer.status == 422
        assert wrong in answer.fields

    def test_returns_404_for_an_unknown_agent(self, developer: AgentsClient) -> None:
        assert developer.call("POST", VERSIONS, {"config": CONFIG}, agent_id=UNKNOWN).status == 404
        assert developer.call("GET", VERSIONS, agent_id=UNKNOWN).status == 404


class TestAlias:
    def test_moves_forward_and_back(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        developer.call("POST", VERSIONS, {"config": {"model": "gpt-5"}}, agent_id=agent_id)
        forth = developer.call("PATCH", ALIAS, {"version": 2}, agent_id=agent_id)
        assert (forth.status, forth.agent["version"], forth.agent["config"]) == (200, 2, {"model": "gpt-5"})
        back = developer.call("PUT", ALIAS, {"version": 1}, agent_id=agent_id, If_Match=forth.headers["ETag"])
        assert (back.status, back.agent["version"], back.agent["latest_version"]) == (200, 1, 2)

    @pytest.mark.parametrize("version", [2, 0, "1", None, 10**2000])
    def test_refuses_an_unknown_version(self, developer: AgentsClient, version: object) -> None:
        agent_id = developer.create()["agent_id"]
        answer = developer.call("PUT", ALIAS, {"version": version}, agent_id=agent_id)
        assert (answer.status, answer.fields) == (422, ["version"])

    def test_returns_404_for_an_unknown_agent(self, developer: AgentsClient) -> None:
        assert developer.call("PUT", ALIAS, {"version": 1}, agent_id=UNKNOWN).status == 404


class TestPermissions:
    @pytest.mark.parametrize("role", [Role.OBSERVER, Role.ANALYST])
    def test_read_only_roles_cannot_change_anything(self, role: Role) -> None:
        assert AgentsClient(role).call("POST", AGENTS, NEW).status == 403
        assert AgentsClient(role).call("PUT", ALIAS, {"version": 1}, agent_id=UNKNOWN).status == 403
        assert AgentsClient(role).call("GET", AGENTS).status == 200

    def test_refuses_another_tenants_user(self) -> None:
        other = AgentsClient(Role.TENANT_ADMIN, tenant_id="other")
        assert (other.call("GET", AGENTS).status, other.call("POST", AGENTS, NEW).status) == (403, 403)

    def test_token_without_the_feature_can_only_read(self) -> None:
        narrowed = AgentsClient(features=("experiments",))
        answer = narrowed.call("POST", AGENTS, NEW)
        assert (answer.status, answer.body["error"]) == (403, "Forbidden")
        assert narrowed.call("GET", AGENTS).status == 200

    def test_refuses_a_plan_without_the_feature(self, developer: AgentsClient) -> None:
        save_tenant_copy(seq=2, features=("linting",))
        assert developer.call("POST", AGENTS, NEW).status == 403

    @pytest.mark.parametrize(("status", "expected"), [("suspended", 403), ("suspended_by_billing", 402)])
    def test_suspended_tenant_can_only_read(self, developer: AgentsClient, status: Status, expected: int) -> None:
        save_tenant_copy(seq=2, status=status)
        assert developer.call("POST", AGENTS, NEW).status == expected
        assert developer.call("GET", AGENTS).status == 200


class TestDeclaration:
    def test_changes_require_a_developer_and_keys_an_admin(self) -> None:
        changes = [route for route in SERVICE.routes if route.method != "GET"]
        keys = {route for route in changes if "/provider-keys/" in route.path}
        lints = {route for route in changes if "/lint/" in route.path}
        assert {(route.min_role, route.feature) for route in lints} == {(Role.DEVELOPER, "linting")}
        assert {(route.min_role, route.feature) for route in keys} == {(Role.TENANT_ADMIN, "agents")}
        assert {(route.min_role, route.feature) for route in set(changes) - keys - lints} == {
            (Role.DEVELOPER, "agents")
        }

    def test_observers_can_read_everything_but_prompts_and_lints(self) -> None:
        reads = [route for route in SERVICE.routes if route.method == "GET"]
        hidden = {route.path for route in reads if route.min_role is not Role.OBSERVER}
        assert {path for path in hidden if "/prompts" not in path and "/lint/" not in path} == set()
        assert {route.min_role for route in reads if route.path in hidden} == {Role.ANALYST}


class TestForgedTokens:
    @every_forged_position
    def test_list_of_agents_refuses_forged_tokens(self, developer: AgentsClient, position: str) -> None:
        assert developer.call("GET", AGENTS, query={"next_token": seal(position, TENANT, "agents")}).status == 400

    @every_forged_position
    def test_list_of_versions_refuses_forged_tokens(self, developer: AgentsClient, position: str) -> None:
        agent_id = developer.create()["agent_id"]
        token = seal(position, TENANT, "versions", agent_id)
        assert developer.call("GET", VERSIONS, agent_id=agent_id, query={"next_token": token}).status == 400
