"""What is sent to a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.domain.request import Message, compose, falling_back, provider_of


class TestCompose:
    def test_puts_the_system_prompt_first(self) -> None:
        request = compose({"model": "gpt-4", "system_prompt": "Be kind."}, {"message": "Hi"}, max_output_tokens=None)
        assert request.messages == (Message("system", "Be kind."), Message("user", "Hi"))

    def test_keeps_a_conversation_in_its_order(self) -> None:
        said = [
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "3"},
        ]
        request = compose({"model": "gpt-4"}, {"messages": said}, max_output_tokens=None)
        assert [message.content for message in request.messages] == ["1", "2", "3"]

    @pytest.mark.parametrize(
        ("asked", "configured", "cap"), [(None, None, 4_096), (None, 100, 100), (7, 100, 7), (200, 100, 200)]
    )
    def test_caps_the_output(self, asked: int | None, configured: int | None, cap: int) -> None:
        config = {"model": "gpt-4", "max_output_tokens": configured}
        assert compose(config, {"message": "Hi"}, max_output_tokens=asked).max_output_tokens == cap

    def test_holds_to_the_largest_cap_of_which_earlier_versions_may_be_above(self) -> None:
        config = {"model": "gpt-4", "max_output_tokens": 10**4_000}
        assert compose(config, {"message": "Hi"}, max_output_tokens=None).max_output_tokens == 1_000_000

    @pytest.mark.parametrize("provider", ["bedrock", "simulated"])
    def test_leaves_out_the_server_that_earlier_versions_name_for_a_provider_without_one(self, provider: str) -> None:
        config = {"provider": provider, "model": "anthropic.claude-sonnet-4-v1:0", "base_url": "https://llm.example"}
        assert compose(config, {"message": "Hi"}, max_output_tokens=None).base_url is None


class TestBound:
    @given(text=st.text(min_size=1, max_size=200))
    def test_is_more_than_every_byte_that_is_sent(self, text: str) -> None:
        config = {
            "model": "gpt-4",
            "system_prompt": text,
            "tools": [{"name": "t", "description": text, "parameters": {"title": text}}],
            "response_schema": {"title": text},
        }
        request = compose(config, {"message": text}, turns=[Message("tool", text)], max_output_tokens=1)
        assert request.input_bound_tokens >= 6 * len(text.encode())


class TestFallingBack:
    def test_asks_another_model_at_its_own_provider(self) -> None:
        config = {"model": "llama", "base_url": "https://llm.example", "api": "chat"}
        request = falling_back(compose(config, {"message": "Hi"}, max_output_tokens=None), "claude-opus-4-5")
        assert (request.provider, request.model, request.base_url, request.api) == (
            "anthropic",
            "claude-opus-4-5",
            None,
            None,
        )


class TestProviderOf:
    @pytest.mark.parametrize(
        ("config", "provider"),
        [
            ({"model": "gpt-4"}, "openai"),
            ({"model": "claude-opus-4-5"}, "anthropic"),
            ({"model": "amazon.nova-pro-v1:0"}, "bedrock"),
            ({"model": "gpt-4", "provider": "anthropic"}, "anthropic"),
            ({"model": "llama-3", "base_url": "https://llm.example"}, "openai"),
        ],
    )
    def test_is_named_or_told_by_the_model(self, config: dict[str, str], provider: str) -> None:
        assert provider_of(config) == provider
