"""Composition of model requests."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.providers.domain.request import ToolChoice, compose, fallback_request, model_of
from services.runs.runs.domain.conversation import Message
from shared.models.capabilities import Provider
from shared.models.names import ModelName


class TestCompose:
    def test_puts_the_system_prompt_first(self) -> None:
        request = compose({"model": "gpt-4", "system_prompt": "Be kind."}, {"message": "Hi"}, max_output_tokens=None)
        assert request.messages == (Message("system", "Be kind."), Message("user", "Hi"))

    def test_keeps_the_order_of_a_conversation(self) -> None:
        payload = [
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "3"},
        ]
        request = compose({"model": "gpt-4"}, {"messages": payload}, max_output_tokens=None)
        assert [message.content for message in request.messages] == ["1", "2", "3"]

    def test_keeps_messages_of_the_system(self) -> None:
        payload = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
        request = compose({"model": "gpt-4"}, {"messages": payload}, max_output_tokens=None)
        assert request.messages == (Message("system", "Be brief."), Message("user", "Hi"))

    def test_takes_over_all_parameters(self) -> None:
        config = {"model": "gpt-4", "top_p": 0.5, "stop": ["END"], "seed": 7, "parallel_tool_calls": False}
        request = compose(config, {"message": "Hi"}, max_output_tokens=None)
        assert (request.top_p, request.stop, request.seed, request.parallel_tool_calls) == (0.5, ("END",), 7, False)

    @pytest.mark.parametrize(
        ("choice", "first", "later"),
        [
            (None, None, None),
            ("auto", ToolChoice("auto"), ToolChoice("auto")),
            ("none", ToolChoice("none"), ToolChoice("none")),
            ("required", ToolChoice("required"), ToolChoice("auto")),
            ({"tool": "weather"}, ToolChoice("tool", "weather"), ToolChoice("auto")),
        ],
    )
    def test_forces_tools_until_their_first_output(
        self, choice: object, first: ToolChoice | None, later: ToolChoice | None
    ) -> None:
        config = {"model": "gpt-4", "tool_choice": choice}
        turns = [Message("assistant", ""), Message("tool", "rain", tool_call_id="call_1")]
        requests = [compose(config, {"message": "Hi"}, turns=after, max_output_tokens=None) for after in ([], turns)]
        assert [request.tool_choice for request in requests] == [first, later]

    @pytest.mark.parametrize(
        ("asked", "configured", "cap"), [(None, None, 4_096), (None, 100, 100), (7, 100, 7), (200, 100, 200)]
    )
    def test_caps_the_output(self, asked: int | None, configured: int | None, cap: int) -> None:
        config = {"model": "gpt-4", "max_output_tokens": configured}
        assert compose(config, {"message": "Hi"}, max_output_tokens=asked).max_output_tokens == cap

    def test_clamps_larger_caps_of_earlier_versions(self) -> None:
        config = {"model": "gpt-4", "max_output_tokens": 10**4_000}
        assert compose(config, {"message": "Hi"}, max_output_tokens=None).max_output_tokens == 1_000_000

    @pytest.mark.parametrize("provider", ["bedrock", "simulated"])
    def test_omits_the_base_url_for_a_provider_without_own_servers(self, provider: str) -> None:
        config = {"provider": provider, "model": "anthropic.claude-sonnet-4-v1:0", "base_url": "https://llm.example"}
        assert compose(config, {"message": "Hi"}, max_output_tokens=None).base_url is None


class TestBound:
    @given(text=st.text(min_size=1, max_size=200))
    def test_exceeds_the_number_of_sent_bytes(self, text: str) -> None:
        config = {
            "model": "gpt-4",
            "system_prompt": text,
            "tools": [{"name": "t", "description": text, "parameters": {"title": text}}],
            "response_schema": {"title": text},
        }
        request = compose(config, {"message": text}, turns=[Message("tool", text)], max_output_tokens=1)
        assert request.input_bound_tokens >= 6 * len(text.encode())


class TestFallbackRequest:
    def test_uses_the_provider_of_the_other_model(self) -> None:
        config = {"model": "llama", "base_url": "https://llm.example", "api": "chat"}
        request = fallback_request(compose(config, {"message": "Hi"}, max_output_tokens=None), "claude-opus-4-5")
        assert (request.provider, request.model, request.base_url, request.api) == (
            "anthropic",
            "claude-opus-4-5",
            None,
            None,
        )

    def test_sends_the_name_without_its_prefix_and_keeps_it_to_tell_models_apart(self) -> None:
        base = compose({"model": "openai/gpt-4o"}, {"message": "Hi"}, max_output_tokens=None)
        request = fallback_request(base, "bedrock/my-imported-model")
        assert (base.provider, base.model, base.name) == ("openai", "gpt-4o", "openai/gpt-4o")
        assert (request.provider, request.model, request.name) == (
            "bedrock",
            "my-imported-model",
            "bedrock/my-imported-model",
        )

    def test_uses_the_same_server_for_another_deployment_at_azure(self) -> None:
        azure = "https://acme.openai.azure.com/openai/v1"
        config = {"model": "prod", "base_url": azure, "api": "responses"}
        base = compose(config, {"message": "Hi"}, max_output_tokens=None)
        request = fallback_request(base, "azure/spare")
        assert (request.provider, request.model, request.base_url, request.api) == (
            "azure",
            "spare",
            azure,
            "responses",
        )
        assert fallback_request(base, "gpt-4o").base_url is None


class TestModelOf:
    @pytest.mark.parametrize(
        ("config", "provider", "model"),
        [
            ({"model": "gpt-4"}, "openai", "gpt-4"),
            ({"model": "GPT-4o"}, "openai", "gpt-4o"),
            ({"model": "o5-mini"}, "openai", "o5-mini"),
            ({"model": "codex-mini-latest"}, "openai", "codex-mini-latest"),
            ({"model": "claude-opus-4-5"}, "anthropic", "claude-opus-4-5"),
            ({"model": "anthropic/claude-opus-4-5"}, "anthropic", "claude-opus-4-5"),
            ({"model": "openai/gpt-5.4"}, "openai", "gpt-5.4"),
            ({"model": "bedrock/my-imported-model"}, "bedrock", "my-imported-model"),
            ({"model": "amazon.nova-pro-v1:0"}, "bedrock", "amazon.nova-pro-v1:0"),
            ({"model": "gpt-4", "provider": "anthropic"}, "anthropic", "gpt-4"),
            ({"model": "llama-3", "base_url": "https://llm.example"}, "openai", "llama-3"),
            ({"model": "openai/gpt-oss-20b", "base_url": "https://llm.example"}, "openai", "openai/gpt-oss-20b"),
            ({"model": "stored-by-an-earlier-release"}, "bedrock", "stored-by-an-earlier-release"),
            ({"model": "openai/gpt-4", "provider": "bedrock"}, "bedrock", "openai/gpt-4"),
        ],
    )
    def test_is_explicit_or_derived_from_the_name(self, config: dict[str, str], provider: str, model: str) -> None:
        assert model_of(config) == ModelName(cast("Provider", provider), model)
