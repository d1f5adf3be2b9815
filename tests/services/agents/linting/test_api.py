"""The routes of lints, their fixes, and the gate."""

from typing import Any

import pytest

from services.agents import wiring
from services.agents.linting.api import SARIF
from services.agents.linting.table import LintTable
from shared.tenancy.permissions import Role
from tests.services.agents.callers import AGENTS, NEW, TENANT, AgentsApiResponse, AgentsClient, save_tenant_copy

RUN = "/v1/tenants/{tenant_id}/lint/run"
RESULTS = "/v1/tenants/{tenant_id}/lint/{lint_id}/results"
FIX = "/v1/tenants/{tenant_id}/lint/{lint_id}/fix"
AGENT = f"{AGENTS}/{{agent_id}}"
VERSIONS = f"{AGENT}/versions"
VERSION = f"{VERSIONS}/{{version}}"
ALIAS = f"{AGENT}/alias"
PROMPTS = "/v1/tenants/{tenant_id}/prompts"
PROMPT_VERSION = f"{PROMPTS}/{{prompt_id}}/versions/{{version}}"
SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
CLEAN = {"model": "gpt-5.5", "max_output_tokens": 500, "fallbacks": ["claude-sonnet-5-5"]}
FAULTY = {"model": "gpt-5.5", "temperature": 0.2, "system_prompt": f"Use {SECRET}."}
UNKNOWN = "lnt_01JDAAAAAAAAAAAAAAAAAAAAAA"

pytestmark = pytest.mark.usefixtures("linting")


@pytest.fixture(name="linting")
def enable_linting(mesh: None) -> None:  # noqa: ARG001 — the tables
    """Give the tenant the feature, without a gate."""
    save_tenant_copy(seq=2, features=("agents", "linting"), lint_gate="off")


@pytest.fixture
def developer() -> AgentsClient:
    """Return a client that may lint."""
    return AgentsClient()


def lint(developer: AgentsClient, **target: object) -> dict[str, Any]:
    answer = developer.call("POST", RUN, {"target": target})
    assert answer.status == 201, answer.body
    return answer.body["lint"]


def rules_of(found: dict[str, Any]) -> list[str]:
    return [finding["rule_id"] for finding in found["findings"]]


def create_prompt(developer: AgentsClient, template: str) -> str:
    return str(developer.call("POST", PROMPTS, {"name": "P", "template": template}).body["prompt"]["prompt_id"])


class TestRun:
    def test_returns_201_with_the_findings_of_the_live_version(self, developer: AgentsClient) -> None:
        agent_id = developer.create(config=FAULTY)["agent_id"]
        answer = developer.call("POST", RUN, {"target": {"agent_id": agent_id}})
        found = answer.body["lint"]
        assert (answer.status, found["target"]) == (201, {"agent_id": agent_id, "version": 1})
        assert answer.headers["Location"] == f"/v1/tenants/demo-org/lint/{found['lint_id']}/results"
        assert found["summary"] == {"error": 1, "warning": 1, "info": 2}
        assert (found["ruleset"], found["suppressed"], found["truncated"]) == ("builtin", 0, False)
        [secret] = [one for one in found["findings"] if one["rule_id"] == "AIN101"]
        assert secret["location"] == {"pointer": "/system_prompt", "start": 4, "end": 44}
        assert secret["fix"] == [{"op": "replace", "path": "/system_prompt", "value": "Use [removed]."}]
        assert SECRET not in str(found)

    def test_examines_a_given_version(self, developer: AgentsClient) -> None:
        agent_id = developer.create(config=FAULTY)["agent_id"]
        developer.call("POST", VERSIONS, {"config": CLEAN, "live": True}, agent_id=agent_id)
        assert rules_of(lint(developer, agent_id=agent_id)) == []
        assert "AIN101" in rules_of(lint(developer, agent_id=agent_id, version=1))

    def test_examines_a_prompt(self, developer: AgentsClient) -> None:
        prompt_id = create_prompt(developer, "Rate {{ review }}.")
        found = lint(developer, prompt_id=prompt_id)
        assert (found["target"], rules_of(found)) == ({"prompt_id": prompt_id, "version": 1}, ["AIN301"])

    def test_examines_the_prompt_of_an_agent(self, developer: AgentsClient) -> None:
        prompt_id = create_prompt(developer, "Rate {{ review }}.")
        agent_id = developer.create(config={**CLEAN, "system_prompt": {"prompt_id": prompt_id}})["agent_id"]
        [finding] = lint(developer, agent_id=agent_id)["findings"]
        assert (finding["rule_id"], finding["target"]) == ("AIN301", "prompt")
        assert "fix" not in finding

    def test_examines_a_config_that_is_not_valid(self, developer: AgentsClient) -> None:
        found = lint(developer, config={"model": "gpt-4", "temperature": "hot"})
        assert (found["target"], rules_of(found)[0]) == ({}, "AIN402")

    def test_leaves_out_findings_below_the_least_severity(self, developer: AgentsClient) -> None:
        answer = developer.call("POST", RUN, {"target": {"config": FAULTY}, "min_severity": "error"})
        assert rules_of(answer.body["lint"]) == ["AIN101"]

    @pytest.mark.parametrize(
        ("target", "status"),
        [
            ({}, 422),
            ({"agent_id": "agt_01JDAAAAAAAAAAAAAAAAAAAAAA", "config": {}}, 422),
            ({"config": {}, "version": 1}, 422),
            ({"agent_id": "x"}, 422),
            ({"agent_id": "agt_01JDAAAAAAAAAAAAAAAAAAAAAA"}, 404),
            ({"prompt_id": "prm_01JDAAAAAAAAAAAAAAAAAAAAAA"}, 404),
        ],
        ids=range(6),
    )
    def test_refuses_a_wrong_target(self, developer: AgentsClient, target: dict[str, object], status: int) -> None:
        assert developer.call("POST", RUN, {"target": target}).status == status

    def test_is_replayed_with_the_same_key(self, developer: AgentsClient) -> None:
        body = {"target": {"config": FAULTY}}
        first, again = (developer.call("POST", RUN, body, Idempotency_Key="one") for _ in range(2))
        assert again.body["lint"] == first.body["lint"]
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_requires_the_feature_and_a_developer(self, developer: AgentsClient) -> None:
        body = {"target": {"config": CLEAN}}
        assert AgentsClient(role=Role.ANALYST).call("POST", RUN, body).status == 403
        save_tenant_copy(seq=3, features=("agents",))
        assert developer.call("POST", RUN, body).status == 403


class TestResults:
    def test_are_those_of_the_run(self, developer: AgentsClient) -> None:
        found = lint(developer, config=FAULTY)
        answer = AgentsClient(role=Role.ANALYST).call("GET", RESULTS, lint_id=found["lint_id"])
        assert (answer.status, answer.body["lint"]) == (200, found)

    def test_can_be_sarif(self, developer: AgentsClient) -> None:
        agent_id = developer.create(config=FAULTY)["agent_id"]
        found = lint(developer, agent_id=agent_id)
        answer = developer.call("GET", RESULTS, lint_id=found["lint_id"], Accept=SARIF)
        assert answer.headers["Content-Type"] == SARIF
        assert set(answer.body) == {"$schema", "version", "runs"}
        results = answer.body["runs"][0]["results"]
        assert [result["ruleId"] for result in results] == rules_of(found)
        [place] = results[0]["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == f"agents/{agent_id}/versions/1.json"

    def test_of_an_unknown_lint_are_404(self, developer: AgentsClient) -> None:
        assert developer.call("GET", RESULTS, lint_id=UNKNOWN).status == 404
        assert AgentsClient(role=Role.OBSERVER).call("GET", RESULTS, lint_id=UNKNOWN).status == 403

    def test_expire_after_90_days(self, developer: AgentsClient) -> None:
        table = LintTable(wiring.slice_store(), TENANT)
        item = wiring.slice_store().get(table.key(lint(developer, config=CLEAN)["lint_id"]))
        assert item is not None
        created_at = table.decode(item).created_at
        assert int(str(item["ttl"])) - int(created_at.timestamp()) == 90 * 24 * 3600


class TestFix:
    @staticmethod
    def fix(developer: AgentsClient, found: dict[str, Any], *rules: str) -> AgentsApiResponse:
        ids = [one["finding_id"] for one in found["findings"] if one["rule_id"] in rules]
        return developer.call("POST", FIX, {"finding_ids": ids}, lint_id=found["lint_id"])

    def test_publishes_a_version_that_is_not_live(self, developer: AgentsClient) -> None:
        agent_id = developer.create(config=FAULTY)["agent_id"]
        answer = self.fix(developer, lint(developer, agent_id=agent_id), "AIN101", "AIN405")
        assert (answer.status, answer.body["fixed"]) == (201, {"agent_id": agent_id, "version": 2})
        assert answer.headers["Location"] == f"/v1/tenants/demo-org/agents/{agent_id}/versions/2"
        version = developer.call("GET", VERSION, agent_id=agent_id, version="2").body["version"]
        assert version["config"] == {"model": "gpt-5.5", "system_prompt": "Use [removed]."}
        assert version["live"] is False

    def test_publishes_a_version_of_a_prompt(self, developer: AgentsClient) -> None:
        prompt_id = create_prompt(developer, "Rate {{ review }}.")
        answer = self.fix(developer, lint(developer, prompt_id=prompt_id), "AIN301")
        assert answer.body["fixed"] == {"prompt_id": prompt_id, "version": 2}
        version = developer.call("GET", PROMPT_VERSION, prompt_id=prompt_id, version="2").body["version"]
        assert (version["template"], version["live"]) == ("Rate <review>{{review}}</review>.", False)

    def test_is_replayed_with_the_same_key(self, developer: AgentsClient) -> None:
        found = lint(developer, agent_id=developer.create(config=FAULTY)["agent_id"])
        ids = [one["finding_id"] for one in found["findings"] if one["rule_id"] == "AIN101"]
        first, again = (
            developer.call("POST", FIX, {"finding_ids": ids}, lint_id=found["lint_id"], Idempotency_Key="one")
            for _ in range(2)
        )
        assert (again.status, again.body["fixed"]) == (201, first.body["fixed"])

    def test_names_findings_that_cannot_be_fixed(self, developer: AgentsClient) -> None:
        found = lint(developer, agent_id=developer.create(config=FAULTY)["agent_id"])
        assert self.fix(developer, found, "AIN502").fields == ["finding_ids"]
        unknown = developer.call("POST", FIX, {"finding_ids": ["0" * 16]}, lint_id=found["lint_id"])
        assert unknown.fields == ["finding_ids"]

    def test_requires_a_stored_document(self, developer: AgentsClient) -> None:
        assert self.fix(developer, lint(developer, config=FAULTY), "AIN101").status == 422
        assert developer.call("POST", FIX, {"finding_ids": ["0" * 16]}, lint_id=UNKNOWN).status == 404


class TestGate:
    @staticmethod
    def gate(setting: Any, *, features: tuple[str, ...] = ("agents", "linting")) -> None:  # noqa: ANN401 — one of three texts
        save_tenant_copy(seq=3, features=features, lint_gate=setting)

    def test_blocks_a_version_with_errors(self, developer: AgentsClient) -> None:
        self.gate("block")
        answer = developer.call("POST", AGENTS, {**NEW, "config": FAULTY})
        assert (answer.status, answer.fields) == (422, ["config.system_prompt"])
        assert answer.body["details"][0]["message"].startswith("AIN101: ")
        assert SECRET not in str(answer.body)

    def test_blocks_every_way_to_go_live(self, developer: AgentsClient) -> None:
        self.gate("block")
        agent_id = developer.create(config=CLEAN)["agent_id"]
        faulty: list[AgentsApiResponse] = [
            developer.call("PATCH", AGENT, {"config": FAULTY}, agent_id=agent_id),
            developer.call("POST", VERSIONS, {"config": FAULTY, "live": True}, agent_id=agent_id),
        ]
        assert developer.call("POST", VERSIONS, {"config": FAULTY}, agent_id=agent_id).status == 201
        faulty.append(developer.call("PUT", ALIAS, {"version": 2}, agent_id=agent_id))
        assert [answer.status for answer in faulty] == [422, 422, 422]
        assert developer.call("GET", AGENT, agent_id=agent_id).agent["version"] == 1

    def test_blocks_prompts_too(self, developer: AgentsClient) -> None:
        self.gate("block")
        answer = developer.call("POST", PROMPTS, {"name": "P", "template": f"Use {SECRET}."})
        assert (answer.status, answer.fields) == (422, ["template"])
        prompt_id = create_prompt(developer, "Be kind.")
        versions = f"{PROMPTS}/{{prompt_id}}/versions"
        developer.call("POST", versions, {"template": f"Use {SECRET}."}, prompt_id=prompt_id)
        moved = developer.call("PUT", f"{PROMPTS}/{{prompt_id}}/alias", {"version": 2}, prompt_id=prompt_id)
        assert moved.status == 422

    def test_warns_in_the_response(self, developer: AgentsClient) -> None:
        self.gate("warn")
        answer = developer.call("POST", AGENTS, {**NEW, "config": FAULTY})
        assert (answer.status, answer.body["lint"]) == (201, {"error": 1, "warning": 1, "info": 2})
        agent_id = answer.agent["agent_id"]
        assert developer.call("GET", AGENT, agent_id=agent_id).body["lint"] is None
        assert developer.call("PATCH", AGENT, {"name": "Other"}, agent_id=agent_id).body["lint"] is None

    @pytest.mark.parametrize(("setting", "features"), [("off", ("agents", "linting")), ("block", ("agents",))])
    def test_needs_the_setting_and_the_feature(
        self, developer: AgentsClient, setting: str, features: tuple[str, ...]
    ) -> None:
        self.gate(setting, features=features)
        answer = developer.call("POST", AGENTS, {**NEW, "config": FAULTY})
        assert (answer.status, answer.body["lint"]) == (201, None)

    def test_suppressed_errors_do_not_block(self, developer: AgentsClient) -> None:
        self.gate("block")
        ignored = {**FAULTY, "lint_ignore": [{"rule_id": "AIN101", "reason": "A revoked token."}]}
        assert developer.call("POST", AGENTS, {**NEW, "config": ignored}).status == 201
