"""The routes of prompts, and agents that use them."""

import re
from datetime import UTC, datetime

import pytest

from services.agents import wiring
from services.agents.partitions import SLICE
from services.agents.projects.table import ProjectCopies, ProjectCopy
from services.agents.prompts import operations
from services.agents.prompts.domain import MAX_TEMPLATE_BYTES
from shared.http.token import seal
from shared.ids import new_id, pattern
from shared.storage.transaction import Expression
from shared.tenancy.permissions import Role
from tests.forged_cursors import every_forged_position
from tests.services.agents.callers import AGENTS, NEW, TENANT, AgentsApiResponse, AgentsClient, save_tenant_copy

PROMPTS = "/v1/tenants/{tenant_id}/prompts"
PROMPT = f"{PROMPTS}/{{prompt_id}}"
VERSIONS = f"{PROMPT}/versions"
VERSION = f"{VERSIONS}/{{version}}"
ALIAS = f"{PROMPT}/alias"
DIFF = f"{VERSION}/diff"
TEMPLATE = "You support the customers of {{ company }}."
BODY = {"name": "Support", "template": TEMPLATE}
UNKNOWN = "prm_01JDAAAAAAAAAAAAAAAAAAAAAA"
PROJECT = new_id("prj", datetime(2026, 1, 1, tzinfo=UTC))

pytestmark = pytest.mark.usefixtures("mesh")


@pytest.fixture
def developer() -> AgentsClient:
    """Return a client that may change prompts."""
    return AgentsClient()


def create(developer: AgentsClient, **changes: object) -> str:
    answer = developer.call("POST", PROMPTS, {**BODY, **changes})
    assert answer.status == 201, answer.body
    return str(answer.body["prompt"]["prompt_id"])


def publish(developer: AgentsClient, prompt_id: str, template: str, *, live: bool = False) -> AgentsApiResponse:
    return developer.call("POST", VERSIONS, {"template": template, "live": live}, prompt_id=prompt_id)


def published_events() -> list[str]:
    condition = Expression("#PK = :pk", {"pk": SLICE.key(TENANT, "OUTBOX")})
    found = [str(item["SK"]).removeprefix("OUTBOX#") for item in wiring.slice_store().query_all(condition)]
    return sorted(name.partition(":")[2] for name in found if name.startswith("prm_"))


class TestCreate:
    def test_returns_201_with_the_prompt_and_its_location(self, developer: AgentsClient) -> None:
        answer = developer.call("POST", PROMPTS, BODY)
        prompt = answer.body["prompt"]
        assert (answer.status, answer.headers["ETag"]) == (201, '"1"')
        assert answer.headers["Location"] == f"/v1/tenants/demo-org/prompts/{prompt['prompt_id']}"
        assert re.fullmatch(pattern("prm"), prompt["prompt_id"])
        assert prompt["created_at"] == prompt["updated_at"]
        assert {name: value for name, value in prompt.items() if not name.endswith(("_id", "_at"))} == {
            "name": "Support",
            "description": None,
            "version": 1,
            "latest_version": 1,
            "variables": ["company"],
            "template": TEMPLATE,
        }

    @pytest.mark.parametrize(
        ("changes", "wrong"),
        [
            ({"colour": "red"}, "colour"),
            ({"name": ""}, "name"),
            ({"template": ""}, "template"),
            ({"template": None}, "template"),
            ({"template": "Hello {{ first name }}"}, "template"),
            ({"template": "a\0b"}, "template"),
            ({"template": "é" * (MAX_TEMPLATE_BYTES // 2 + 1)}, "template"),
            ({"project_id": PROJECT}, "project_id"),
        ],
        ids=range(8),
    )
    def test_names_the_invalid_field(self, developer: AgentsClient, changes: dict[str, object], wrong: str) -> None:
        answer = developer.call("POST", PROMPTS, {**BODY, **changes})
        assert (answer.status, answer.fields) == (422, [wrong])

    def test_is_replayed_with_the_same_key(self, developer: AgentsClient) -> None:
        first, again = (developer.call("POST", PROMPTS, BODY, Idempotency_Key="one") for _ in range(2))
        assert (again.status, again.body["prompt"]) == (201, first.body["prompt"])
        assert again.headers["Idempotent-Replayed"] == "true"
        assert len(developer.call("GET", PROMPTS).body["prompts"]) == 1

    @pytest.mark.parametrize("role", [Role.ANALYST, Role.OBSERVER])
    def test_requires_a_developer(self, role: Role) -> None:
        assert AgentsClient(role=role).call("POST", PROMPTS, BODY).status == 403

    def test_requires_the_feature(self, developer: AgentsClient) -> None:
        save_tenant_copy(seq=2, features=("linting",))
        assert developer.call("POST", PROMPTS, BODY).status == 403


class TestRead:
    def test_returns_the_prompt_to_an_analyst_only(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        assert (
            AgentsClient(role=Role.ANALYST).call("GET", PROMPT, prompt_id=prompt_id).body["prompt"]["name"] == "Support"
        )
        assert AgentsClient(role=Role.OBSERVER).call("GET", PROMPT, prompt_id=prompt_id).status == 403

    def test_returns_404_for_an_unknown_one(self, developer: AgentsClient) -> None:
        assert developer.call("GET", PROMPT, prompt_id=UNKNOWN).status == 404

    def test_pages_newest_first(self, developer: AgentsClient) -> None:
        created = [create(developer, name=f"Prompt {number}") for number in range(3)]
        first = developer.call("GET", PROMPTS, query={"limit": "2"}).body
        token = first["pagination"]["nextToken"]
        rest = developer.call("GET", PROMPTS, query={"limit": "2", "next_token": token}).body
        found = [prompt["prompt_id"] for prompt in (*first["prompts"], *rest["prompts"])]
        assert sorted(found) == sorted(created)
        assert "template" not in first["prompts"][0]

    @every_forged_position
    def test_refuses_forged_tokens(self, developer: AgentsClient, position: str) -> None:
        prompt_id = create(developer)
        tokens = {
            PROMPTS: seal(position, TENANT, "prompts"),
            VERSIONS: seal(position, TENANT, "prompt-versions", prompt_id),
        }
        for route, token in tokens.items():
            answer = developer.call("GET", route, prompt_id=prompt_id, query={"next_token": token})
            assert answer.status == 400


class TestVersions:
    def test_are_immutable_and_numbered(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        answer = publish(developer, prompt_id, "Two {{a}}")
        assert (answer.status, answer.body["version"]["version"], answer.body["version"]["live"]) == (201, 2, False)
        assert answer.headers["Location"].endswith(f"/prompts/{prompt_id}/versions/2")
        rows = developer.call("GET", VERSIONS, prompt_id=prompt_id).body["versions"]
        assert [(row["version"], row["live"], row["variables"]) for row in rows] == [
            (2, False, ["a"]),
            (1, True, ["company"]),
        ]
        first = developer.call("GET", VERSION, prompt_id=prompt_id, version="1").body["version"]
        assert first["template"] == TEMPLATE

    def test_a_live_one_replaces_the_template_and_its_variables(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        publish(developer, prompt_id, "Two {{a}}", live=True)
        prompt = developer.call("GET", PROMPT, prompt_id=prompt_id).body["prompt"]
        assert (prompt["version"], prompt["template"], prompt["variables"]) == (2, "Two {{a}}", ["a"])

    def test_of_an_update_goes_live(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        answer = developer.call("PATCH", PROMPT, {"template": "Two", "description": "d"}, prompt_id=prompt_id)
        assert (answer.body["prompt"]["version"], answer.body["prompt"]["description"]) == (2, "d")

    def test_are_replayed_with_the_same_key(self, developer: AgentsClient) -> None:
        prompt_id, body = create(developer), {"template": "Two"}
        first, again = (
            developer.call("POST", VERSIONS, body, prompt_id=prompt_id, Idempotency_Key="one") for _ in range(2)
        )
        assert again.body["version"] == first.body["version"]
        assert developer.call("GET", PROMPT, prompt_id=prompt_id).body["prompt"]["latest_version"] == 2

    @pytest.mark.parametrize("version", ["0", "9", "99999999"])
    def test_unknown_ones_are_404(self, developer: AgentsClient, version: str) -> None:
        prompt_id = create(developer)
        assert developer.call("GET", VERSION, prompt_id=prompt_id, version=version).status == 404

    def test_roll_back_with_the_alias(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        publish(developer, prompt_id, "Two", live=True)
        answer = developer.call("PUT", ALIAS, {"version": 1}, prompt_id=prompt_id)
        assert (answer.body["prompt"]["version"], answer.body["prompt"]["variables"]) == (1, ["company"])
        again = developer.call("PUT", ALIAS, {"version": 1}, prompt_id=prompt_id)
        assert again.headers["ETag"] == answer.headers["ETag"]
        assert developer.call("PUT", ALIAS, {"version": 3}, prompt_id=prompt_id).fields == ["version"]

    def test_refuse_a_stale_etag(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        publish(developer, prompt_id, "Two")
        answer = developer.call("PUT", ALIAS, {"version": 2}, prompt_id=prompt_id, If_Match='"1"')
        assert answer.status == 412

    def test_publish_one_event_per_fact(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        publish(developer, prompt_id, "Two")
        developer.call("PUT", ALIAS, {"version": 2}, prompt_id=prompt_id)
        developer.call("DELETE", PROMPT, prompt_id=prompt_id)
        facts = ["1:created", "1:published", "2:published", "2:updated", "3:alias_moved", "deleted"]
        assert published_events() == facts


class TestDiff:
    def test_compares_two_versions(self, developer: AgentsClient) -> None:
        prompt_id = create(developer, template="one\ntwo\n")
        publish(developer, prompt_id, "one\n2\n")
        answer = developer.call("GET", DIFF, prompt_id=prompt_id, version="2", query={"against": "1"})
        assert answer.body["diff"] == {
            "version": 2,
            "against": 1,
            "text": "--- version 1\n+++ version 2\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n",
            "patch": [{"op": "replace", "path": "/template", "value": "one\n2\n"}],
        }

    def test_of_an_agent_has_the_changes_of_its_config(self, developer: AgentsClient) -> None:
        agent_id = developer.create()["agent_id"]
        config = {"model": "gpt-4", "system_prompt": "You are brief."}
        developer.call("POST", f"{AGENTS}/{{agent_id}}/versions", {"config": config}, agent_id=agent_id)
        route = f"{AGENTS}/{{agent_id}}/versions/{{version}}/diff"
        diff = developer.call("GET", route, agent_id=agent_id, version="2", query={"against": "1"}).body["diff"]
        assert {"op": "remove", "path": "/temperature"} in diff["patch"]
        assert "+You are brief.\n" in diff["text"]

    def test_requires_a_version_that_exists(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        assert developer.call("GET", DIFF, prompt_id=prompt_id, version="1", query={"against": "7"}).status == 404
        assert developer.call("GET", DIFF, prompt_id=prompt_id, version="1").status == 422


class TestDelete:
    def test_hides_the_prompt(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        assert developer.call("DELETE", PROMPT, prompt_id=prompt_id).status == 204
        for method, route in (("GET", PROMPT), ("DELETE", PROMPT), ("GET", VERSIONS)):
            assert developer.call(method, route, prompt_id=prompt_id).status == 404


class TestProject:
    def test_of_a_deleted_project_leaves_it(self, developer: AgentsClient) -> None:
        store = wiring.slice_store()
        ProjectCopies(store, TENANT).keep(ProjectCopy(PROJECT, 1, deleted=False))
        prompt_id = create(developer, project_id=PROJECT)
        for _ in range(2):
            operations.leave_project(store, TENANT, PROJECT, now=datetime.now(UTC))
        prompt = developer.call("GET", PROMPT, prompt_id=prompt_id)
        assert (prompt.body["prompt"]["project_id"], prompt.headers["ETag"]) == (None, '"2"')


class TestAgentWithPrompt:
    @staticmethod
    def config(**reference: object) -> dict[str, object]:
        return {"model": "gpt-4", "system_prompt": reference}

    def test_stores_the_reference(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        reference = {"prompt_id": prompt_id, "version": 1, "variables": {"company": "Acme"}}
        assert developer.create(config=self.config(**reference))["config"]["system_prompt"] == reference

    def test_stores_no_version_where_none_is_given(self, developer: AgentsClient) -> None:
        prompt_id = create(developer)
        agent = developer.create(config=self.config(prompt_id=prompt_id))
        assert agent["config"]["system_prompt"] == {"prompt_id": prompt_id}

    @pytest.mark.parametrize(
        ("reference", "wrong"),
        [
            ({"prompt_id": UNKNOWN}, "config.system_prompt.prompt_id"),
            ({"prompt_id": "x"}, "config.system_prompt.prompt_id"),
            ({"version": 1}, "config.system_prompt.prompt_id"),
            ({"version": 2}, "config.system_prompt.version"),
            ({"variables": {"company": "A", "city": "B"}}, "config.system_prompt.variables.city"),
            ({"colour": "red"}, "config.system_prompt.colour"),
        ],
    )
    def test_refuses_a_wrong_reference(self, developer: AgentsClient, reference: dict[str, object], wrong: str) -> None:
        given = reference if reference == {"version": 1} else {"prompt_id": create(developer), **reference}
        answer = developer.call("POST", AGENTS, {**NEW, "config": self.config(**given)})
        assert (answer.status, answer.fields) == (422, [wrong])

    def test_refuses_another_type_with_the_name_of_the_field(self, developer: AgentsClient) -> None:
        answer = developer.call("POST", AGENTS, {**NEW, "config": {"model": "gpt-4", "system_prompt": 5}})
        assert (answer.status, answer.fields) == (422, ["config.system_prompt"])

    def test_keeps_text_with_braces_as_it_is(self, developer: AgentsClient) -> None:
        config = {"model": "gpt-4", "system_prompt": "{{ not a variable"}
        assert developer.create(config=config)["config"] == config
