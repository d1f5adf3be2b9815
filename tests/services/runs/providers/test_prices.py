"""Prices: exact, and never 0 for what is not known."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.domain.request import Message, ModelRequest, Provider
from services.runs.domain.run import Cost
from services.runs.gateways.prices import price_of
from shared.meters import Meter, Meters

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)
VERSION = "genai-prices 0.2.3"
USED: Meters = {Meter.TOKENS_IN: 1_000, Meter.TOKENS_OUT: 500}


def price(provider: Provider, model: str, used: Meters = USED, *, base_url: str | None = None) -> Cost:
    """What a call of this model costs."""
    return price_of(ModelRequest(provider, model, (Message("user", "Hi"),), 10, base_url=base_url), used, NOW)


class TestPriceOf:
    @pytest.mark.parametrize(
        ("provider", "model", "cost"),
        [
            ("openai", "gpt-4", 60_000_000),
            ("simulated", "gpt-4", 60_000_000),
            ("openai", "gpt-4o-mini", 450_000),
            ("anthropic", "claude-sonnet-4-5", 10_500_000),
            ("simulated", "claude-sonnet-4-5", 10_500_000),
            ("bedrock", "amazon.nova-lite-v1:0", 180_000),
        ],
    )
    def test_is_that_of_the_list(self, provider: Provider, model: str, cost: int) -> None:
        assert price(provider, model) == Cost(cost, VERSION)

    @pytest.mark.parametrize(
        ("provider", "model"),
        [
            ("openai", "no-such-model"),
            ("openai", "claude-sonnet-4-5"),
            ("anthropic", "gpt-4"),
            ("bedrock", "no-such-model"),
            ("simulated", "no-such-model"),
        ],
    )
    def test_of_an_unknown_model_is_not_known(self, provider: Provider, model: str) -> None:
        assert price(provider, model) == Cost(None, VERSION)

    def test_what_comes_from_the_cache_is_part_of_the_input_and_cheaper(self) -> None:
        cached = {**USED, Meter.TOKENS_CACHE_READ: 800}
        # 200 at $3.00 and 800 at $0.30 a million, 500 at $15.00.
        assert price("anthropic", "claude-sonnet-4-5", cached).nano_usd == 600_000 + 240_000 + 7_500_000

    def test_what_goes_into_the_cache_is_dearer(self) -> None:
        cached = {**USED, Meter.TOKENS_CACHE_WRITE: 1_000}
        # 1,000 at $3.75 a million, 500 at $15.00.
        assert price("anthropic", "claude-sonnet-4-5", cached).nano_usd == 3_750_000 + 7_500_000

    def test_reasoning_is_in_the_output_already(self) -> None:
        assert price("openai", "gpt-4", {**USED, Meter.TOKENS_REASONING: 400}).nano_usd == 60_000_000

    def test_what_a_server_of_ones_own_takes_no_list_says(self) -> None:
        assert price("openai", "gpt-4", base_url="https://llm.example.org/v1") == Cost(None, None)
        assert price("openai", "gpt-4", base_url="https://api.openai.com/v1").nano_usd == 60_000_000

    def test_of_nothing_is_nothing(self) -> None:
        assert price("openai", "gpt-4", {}) == Cost(0, VERSION)

    @given(tokens_in=st.integers(0, 10**6), read=st.integers(0, 10**6), out=st.integers(0, 10**6))
    def test_is_a_whole_number_and_not_negative(self, tokens_in: int, read: int, out: int) -> None:
        used = {
            Meter.TOKENS_IN: max(tokens_in, read),
            Meter.TOKENS_CACHE_READ: read,
            Meter.TOKENS_OUT: out,
        }
        cost = price("openai", "gpt-4o-mini", used).nano_usd
        assert isinstance(cost, int)
        assert cost >= 0
