"""The schemas of agents."""

from typing import Any

from services.agents.agents.domain import AgentConfig, Tool
from services.agents.agents.schemas import PublishedConfig, PublishedTool

CONFIG: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4",
    "temperature": 0.5,
    "response_schema": {"type": "object"},
    "tools": [{"name": "weather"}],
    "timeout_s": 30,
}


def test_a_published_config_has_every_field_of_a_config() -> None:
    assert [*PublishedConfig.model_fields] == [*AgentConfig.model_fields]
    assert [*PublishedTool.model_fields] == [*Tool.model_fields]


def test_a_published_config_contains_the_stored_fields() -> None:
    stored = AgentConfig.model_validate(CONFIG).to_document()
    assert PublishedConfig.model_validate(stored).model_dump() == stored == CONFIG
