"""What is sent to a model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.domain.request import Message, compose, plan, provider_of


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


class TestPlan:
    @given(text=st.text(min_size=1, max_size=200), cap=st.integers(min_value=1, max_value=10_000))
    def test_bounds_a_call_by_every_byte_that_is_sent_and_the_cap(self, text: str, cap: int) -> None:
        request = compose({"model": "gpt-4", "system_prompt": text}, {"message": text}, max_output_tokens=cap)
        planned = plan({"model": "gpt-4"}, request, simulate=True)
        assert planned.bound_tokens >= 2 * len(text.encode()) + cap

    def test_says_simulated_when_there_is_no_key_and_that_is_allowed(self) -> None:
        request = compose({"model": "gpt-4"}, {"message": "Hi"}, max_output_tokens=None)
        planned = plan({"model": "gpt-4"}, request, simulate=True)
        assert (planned.provider, planned.model, planned.simulated) == ("simulated", "gpt-4", True)

    def test_keeps_the_provider_when_simulating_is_not_allowed(self) -> None:
        request = compose({"model": "gpt-4"}, {"message": "Hi"}, max_output_tokens=None)
        planned = plan({"model": "gpt-4"}, request, simulate=False)
        assert (planned.provider, planned.simulated) == ("openai", False)


class TestProviderOf:
    @pytest.mark.parametrize(
        ("config", "provider"),
        [
            ({"model": "gpt-4"}, "openai"),
            ({"model": "claude-opus-4-5"}, "anthropic"),
            ({"model": "amazon.nova-pro-v1:0"}, "bedrock"),
            ({"model": "gpt-4", "provider": "anthropic"}, "anthropic"),
        ],
    )
    def test_is_named_or_told_by_the_model(self, config: dict[str, str], provider: str) -> None:
        assert provider_of(config) == provider
