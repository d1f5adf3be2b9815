"""Provider keys."""

from services.agents.provider_keys.domain import ProviderKey


class TestProviderKey:
    def test_repr_omits_the_key(self) -> None:
        key = ProviderKey("openai", "sk-own", "https://llm.example")
        assert "sk-own" not in f"{key!r} {key}"

    def test_omits_a_missing_server(self) -> None:
        assert ProviderKey("openai", "sk-own").to_document() == {"api_key": "sk-own"}
