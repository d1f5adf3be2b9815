"""The rules of agents, versions and configs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from services.agents.agents import domain
from services.agents.agents.domain import MAX_SCHEMA_BYTES, Agent, AgentConfig, AgentDetails
from shared.document_ref import DocumentRef

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
FIRST, SECOND = DocumentRef("key-1", "hash-1"), DocumentRef("key-2", "hash-2")
AGENT_ID, PROJECT_ID = "agt_1", "prj_1"


def levels(count: int) -> dict[str, Any]:
    """Return an object with this many levels."""
    nested: dict[str, Any] = {}
    for _ in range(count - 1):
        nested = {"not": nested}
    return nested


DEEP = levels(65)


def an_agent(project_id: str | None = PROJECT_ID) -> Agent:
    details = AgentDetails("Support", "Answers", project_id)
    return domain.create_agent("acme", AGENT_ID, details, agent_type="conversational", config=FIRST, now=NOW).agent


class TestCreateAgent:
    def test_its_first_version_is_live(self) -> None:
        agent = an_agent()
        assert (agent.live_version, agent.latest_version, agent.live_config, agent.seq) == (1, 1, FIRST, 1)

    def test_publishes_the_agent_and_its_version(self) -> None:
        details = AgentDetails("Support", None, PROJECT_ID)
        change = domain.create_agent("acme", AGENT_ID, details, agent_type="conversational", config=FIRST, now=NOW)
        created, published = change.events
        assert (created.type, created.id, created.subject, created.seq) == (
            "agent.created.v1",
            "agt_1:1:created",
            "agt_1",
            1,
        )
        assert (published.type, published.id, published.subject, published.seq) == (
            "agent.version_published.v1",
            "agt_1:1:published",
            "agt_1:1",
            1,
        )
        assert published.data.model_dump() == {
            "agent_id": "agt_1",
            "version": 1,
            "config_key": "key-1",
            "config_sha256": "hash-1",
        }

    def test_joins_its_project(self) -> None:
        details = AgentDetails("Support", None, PROJECT_ID)
        change = domain.create_agent("acme", AGENT_ID, details, agent_type="conversational", config=FIRST, now=NOW)
        assert change.joins_project == PROJECT_ID


class TestChangeDetails:
    def test_increments_seq_and_keeps_versions(self) -> None:
        change = domain.change_details("acme", an_agent(), AgentDetails("Sales", None, PROJECT_ID), now=LATER)
        agent = change.agent
        assert (agent.name, agent.description, agent.seq, agent.updated_at) == ("Sales", None, 2, LATER)
        assert (agent.live_version, agent.latest_version, agent.created_at) == (1, 1, NOW)
        assert [(event.type, event.seq) for event in change.events] == [("agent.updated.v1", 2)]

    def test_does_not_join_its_current_project(self) -> None:
        change = domain.change_details("acme", an_agent(), AgentDetails("Sales", None, PROJECT_ID), now=LATER)
        assert change.joins_project is None

    def test_joins_another_project(self) -> None:
        change = domain.change_details("acme", an_agent(), AgentDetails("Sales", None, "prj_2"), now=LATER)
        assert change.joins_project == "prj_2"


class TestPublishVersion:
    def test_assigns_the_next_number_and_keeps_the_live_version(self) -> None:
        agent = an_agent()
        change = domain.publish_version("acme", agent, domain.details_of(agent), config=SECOND, live=False, now=LATER)
        assert change.published == domain.Version(2, SECOND, LATER)
        assert (change.agent.latest_version, change.agent.live_version, change.agent.live_config) == (2, 1, FIRST)
        assert [event.type for event in change.events] == ["agent.version_published.v1", "agent.updated.v1"]
        assert change.events[1].data.model_dump()["latest_version"] == 2

    def test_moves_the_alias_to_a_live_version(self) -> None:
        agent = an_agent()
        change = domain.publish_version("acme", agent, domain.details_of(agent), config=SECOND, live=True, now=LATER)
        assert (change.agent.live_version, change.agent.live_config) == (2, SECOND)
        assert [event.type for event in change.events] == ["agent.version_published.v1", "agent.alias_moved.v1"]


class TestMoveAlias:
    def test_makes_an_older_version_live_again(self) -> None:
        first = an_agent()
        newest = domain.publish_version(
            "acme", first, domain.details_of(first), config=SECOND, live=True, now=NOW
        ).agent
        change = domain.move_alias("acme", newest, domain.Version(1, FIRST, NOW), now=LATER)
        assert (change.agent.live_version, change.agent.live_config, change.agent.latest_version) == (1, FIRST, 2)
        assert [(event.type, event.seq) for event in change.events] == [("agent.alias_moved.v1", 3)]


class TestLeaveProject:
    def test_keeps_everything_else(self) -> None:
        change = domain.leave_project("acme", an_agent(), now=LATER)
        assert (change.agent.project_id, change.agent.name, change.agent.description) == (None, "Support", "Answers")
        assert change.joins_project is None


class TestDeleteAgent:
    def test_has_a_higher_seq_than_earlier_events(self) -> None:
        deleted = domain.delete_agent("acme", an_agent(), now=LATER)
        assert (deleted.type, deleted.id, deleted.seq) == ("agent.deleted.v1", "agt_1:deleted", 2)


class TestAgentConfig:
    def test_stores_the_fields_that_were_given(self) -> None:
        given_fields = {"model": "gpt-4", "temperature": 1, "tools": [{"name": "look_up"}], "timeout_s": 120}
        assert AgentConfig.model_validate(given_fields).to_document() == given_fields

    def test_null_is_the_same_as_absent(self) -> None:
        config = AgentConfig.model_validate({"model": "gpt-4", "base_url": None, "tools": None})
        assert config.to_document() == {"model": "gpt-4"}

    def test_keeps_null_inside_a_schema(self) -> None:
        schema = {"enum": ["a", None], "default": None}
        config = AgentConfig.model_validate({"model": "gpt-4", "response_schema": schema})
        assert config.to_document()["response_schema"] == schema

    @pytest.mark.parametrize(
        "url",
        [
            "https://llm.example",
            "https://llm.example:8443/v1",
            "https://[2001:db8::1]/v1?a=b",
            "http://localhost:11434/v1",
        ],
    )
    def test_accepts_a_url_unchanged(self, url: str) -> None:
        assert AgentConfig.model_validate({"model": "m", "base_url": url}).to_document()["base_url"] == url

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("model", ""),
            ("model", 4),
            ("provider", "acme"),
            ("api", "completions"),
            ("temperature", 2.1),
            ("temperature", -0.1),
            ("temperature", float("nan")),
            ("temperature", "1"),
            ("max_output_tokens", 0),
            ("max_output_tokens", 1.5),
            ("timeout_s", 0),
            ("timeout_s", 601),
            ("timeout_s", None),
            ("response_schema", []),
            ("response_schema", {"minimum": float("inf")}),
            ("tools", [{"name": "look up"}]),
            ("tools", [{"name": "a"}, {"name": "a"}]),
            ("tools", [{"name": "a", "strict": True}]),
            ("tools", [{"description": "nameless"}]),
            ("fallbacks", [""]),
            ("fallbacks", "gpt-4"),
            ("base_url", "ftp://llm.example"),
            ("base_url", "https://"),
            ("base_url", "https:///v1"),
            ("base_url", "https:llm.example"),
            ("base_url", "https://user:secret@llm.example"),
            ("base_url", "https://llm.example:99999"),
            ("base_url", "https://llm example"),
            ("base_url", " https://llm.example"),
            ("top_k", 1),
            ("model", "gpt\0"),
            ("fallbacks", ["\ud800"]),
            ("system_prompt", "\0"),
            ("max_output_tokens", 1_000_001),
            ("max_output_tokens", 10**4_000),
            ("response_schema", DEEP),
            ("response_schema", {"const": 2**64}),
            ("response_schema", {"description": "x" * MAX_SCHEMA_BYTES}),
            ("tools", [{"name": "a", "parameters": DEEP}]),
            ("tools", [{"name": f"t{n}", "parameters": {"description": "x" * 60_000}} for n in range(5)]),
        ],
    )
    def test_refuses_an_invalid_field(self, field: str, value: Any) -> None:  # noqa: ANN401 — whatever a caller may send
        with pytest.raises(ValidationError) as refused:
            AgentConfig.model_validate({"model": "gpt-4", field: value})
        assert refused.value.errors()[0]["loc"][0] == field

    @pytest.mark.parametrize("provider", ["bedrock", "simulated"])
    def test_refuses_a_base_url_with_a_provider_without_one(self, provider: str) -> None:
        config = {"model": "m", "provider": provider, "base_url": "https://llm.example"}
        with pytest.raises(ValidationError) as refused:
            AgentConfig.model_validate(config)
        assert refused.value.errors()[0]["loc"] == ("base_url",)
        assert AgentConfig.model_validate({**config, "base_url": None}).provider == provider

    @pytest.mark.parametrize("provider", [None, "openai", "anthropic"])
    def test_accepts_a_base_url_with_other_providers(self, provider: str | None) -> None:
        config = {"model": "m", "provider": provider, "base_url": "https://llm.example"}
        assert AgentConfig.model_validate(config).base_url == "https://llm.example"

    def test_accepts_schemas_of_64_levels(self) -> None:
        schema = levels(64)
        config = AgentConfig.model_validate({"model": "m", "response_schema": schema})
        assert config.to_document()["response_schema"] == schema

    def test_requires_a_model(self) -> None:
        with pytest.raises(ValidationError, match="model"):
            AgentConfig.model_validate({})


class TestParameters:
    TOOLS = ({"name": "weather"},)

    @pytest.mark.parametrize(
        "fields",
        [
            {"top_p": 0.5, "stop": ["END"], "seed": 7, "parallel_tool_calls": False},
            {"tools": [*TOOLS], "tool_choice": "required"},
            {"tools": [*TOOLS], "tool_choice": {"tool": "weather"}},
            {"tool_choice": "none"},
        ],
    )
    def test_are_stored_as_given(self, fields: dict[str, Any]) -> None:
        stored = AgentConfig.model_validate({"model": "gpt-4", **fields}).to_document()
        assert {name: stored[name] for name in fields if name != "tools"} == {
            name: value for name, value in fields.items() if name != "tools"
        }

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("top_p", {"top_p": 0}),
            ("top_p", {"top_p": 1.1}),
            ("stop", {"stop": ["a"] * 5}),
            ("stop", {"stop": [""]}),
            ("seed", {"seed": -1}),
            ("tool_choice", {"tool_choice": "any"}),
            ("tool_choice", {"tool_choice": "required"}),
            ("tool_choice", {"tools": [*TOOLS], "tool_choice": {"tool": "time"}}),
        ],
    )
    def test_are_validated(self, name: str, fields: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as raised:
            AgentConfig.model_validate({"model": "gpt-4", **fields})
        assert raised.value.errors()[0]["loc"][0] == name
