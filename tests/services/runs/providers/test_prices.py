"""Prices of calls. An unknown price is None, never 0."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.providers.domain.own_price import OwnPrice
from services.runs.providers.domain.request import ModelRequest, Provider, compose, fallback_request
from services.runs.providers.gateway.prices import price_of
from services.runs.runs.domain.conversation import Message
from services.runs.runs.domain.run import Cost
from shared.meters import Meter, Meters
from shared.models.capabilities import capabilities_of

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)
VERSION = "genai-prices 0.2.3"
USED: Meters = {Meter.TOKENS_IN: 1_000, Meter.TOKENS_OUT: 500}


def price(provider: Provider, model: str, used: Meters = USED, *, base_url: str | None = None) -> Cost:
    """Return the cost of a call to this model."""
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
    def test_matches_the_price_list(self, provider: Provider, model: str, cost: int) -> None:
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
    def test_is_unknown_for_an_unknown_model(self, provider: Provider, model: str) -> None:
        assert price(provider, model) == Cost(None, VERSION)

    @pytest.mark.parametrize(
        "model",
        [
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "amazon.nova-lite-v1:0",
            "bedrock/amazon.nova-lite-v1:0",
            "chatgpt-4o-latest",
            "codex-mini-latest",
            "openai/gpt-4o",
            "anthropic/claude-sonnet-4-5",
            "GPT-4o",
        ],
    )
    @pytest.mark.report("14a")
    def test_is_the_same_for_a_simulated_answer(self, model: str) -> None:
        asked = compose({"model": model}, {"message": "Hi"}, max_output_tokens=None)
        cost = price_of(asked, USED, NOW)
        assert cost.nano_usd
        assert price_of(replace(asked, provider="simulated"), USED, NOW) == cost
        explicit = compose({"model": model, "provider": "simulated"}, {"message": "Hi"}, max_output_tokens=None)
        assert explicit.provider == "simulated"
        assert price_of(explicit, USED, NOW) == cost

    @pytest.mark.report(11)
    @pytest.mark.parametrize(
        "name",
        [
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "apac.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "arn:aws:bedrock:us-east-2:111111111111:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
        ],
    )
    def test_is_that_of_the_model_behind_an_inference_profile(self, name: str) -> None:
        # 1,000 at $3.30 a million, 500 at $16.50, the price in a region.
        assert price("bedrock", name, USED).nano_usd == 3_300_000 + 8_250_000
        row = capabilities_of("bedrock", name)
        assert row
        assert (row.family, row.takes_one_of_sampling) == ("claude-sonnet-4-5", True)

    @pytest.mark.report(11)
    def test_of_an_application_profile_is_the_configured_one(self) -> None:
        name = "arn:aws:bedrock:us-east-2:111111111111:application-inference-profile/abc123"
        assert price("bedrock", name, USED).is_missing
        asked = compose({"model": name, "price": OWN}, {"message": "Hi"}, max_output_tokens=None)
        assert price_of(asked, USED, NOW).nano_usd is not None

    def test_charges_cache_reads_less_than_input(self) -> None:
        cached = {**USED, Meter.TOKENS_CACHE_READ: 800}
        # 200 at $3.00 and 800 at $0.30 a million, 500 at $15.00.
        assert price("anthropic", "claude-sonnet-4-5", cached).nano_usd == 600_000 + 240_000 + 7_500_000

    def test_charges_cache_writes_more_than_input(self) -> None:
        cached = {**USED, Meter.TOKENS_CACHE_WRITE: 1_000}
        # 1,000 at $3.75 a million, 500 at $15.00.
        assert price("anthropic", "claude-sonnet-4-5", cached).nano_usd == 3_750_000 + 7_500_000

    @pytest.mark.parametrize(
        ("provider", "model", "cost"),
        [
            # 600 at $6.00, 400 at $3.75 a million, 500 at $15.00.
            ("anthropic", "claude-sonnet-4-5", 3_600_000 + 1_500_000 + 7_500_000),
            ("bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", 3_600_000 + 1_500_000 + 7_500_000),
        ],
    )
    @pytest.mark.report(12)
    def test_charges_writes_for_an_hour_more_than_others(self, provider: Provider, model: str, cost: int) -> None:
        cached = {**USED, Meter.TOKENS_CACHE_WRITE: 1_000, Meter.TOKENS_CACHE_WRITE_1H: 600}
        assert price(provider, model, cached).nano_usd == cost

    def test_does_not_charge_reasoning_twice(self) -> None:
        assert price("openai", "gpt-4", {**USED, Meter.TOKENS_REASONING: 400}).nano_usd == 60_000_000

    def test_is_unknown_for_a_tenants_own_server(self) -> None:
        assert price("openai", "gpt-4", base_url="https://llm.example.org/v1") == Cost(None, None)
        assert price("openai", "gpt-4", base_url="https://api.openai.com/v1").nano_usd == 60_000_000

    @pytest.mark.parametrize(
        ("model", "host", "cost"),
        [
            ("gpt-4o", "acme.openai.azure.com", 7_500_000),
            ("gpt-4o", "eu.api.openai.com", 7_500_000),
            ("gpt-5.4", "api.openai.com", 10_000_000),
            # Released after 2026-03-05, so 10 % more in a region.
            ("gpt-5.4", "eu.api.openai.com", 11_000_000),
        ],
    )
    @pytest.mark.report(5)
    def test_is_the_list_price_at_azure_and_in_regions(self, model: str, host: str, cost: int) -> None:
        config = {"model": model, "base_url": f"https://{host}/v1"}
        asked = compose(config, {"message": "Hi"}, max_output_tokens=None)
        assert price_of(asked, USED, NOW) == Cost(cost, VERSION)

    def test_is_unknown_for_a_deployment_with_a_name_of_its_own(self) -> None:
        config = {"model": "prod", "base_url": "https://acme.openai.azure.com/openai/v1"}
        asked = compose(config, {"message": "Hi"}, max_output_tokens=None)
        assert price_of(asked, USED, NOW) == Cost(None, VERSION)

    def test_is_zero_for_no_usage(self) -> None:
        assert price("openai", "gpt-4", {}) == Cost(0, VERSION)

    @given(tokens_in=st.integers(0, 10**6), read=st.integers(0, 10**6), out=st.integers(0, 10**6))
    def test_is_a_non_negative_integer(self, tokens_in: int, read: int, out: int) -> None:
        used = {
            Meter.TOKENS_IN: max(tokens_in, read),
            Meter.TOKENS_CACHE_READ: read,
            Meter.TOKENS_OUT: out,
        }
        cost = price("openai", "gpt-4o-mini", used).nano_usd
        assert isinstance(cost, int)
        assert cost >= 0


OWN = {"input_per_million_usd": "0.15", "output_per_million_usd": "0.6"}
TOKENS = st.integers(0, 10**12)
USD = st.decimals(0, 1_000_000, places=6)


def own_price(**price: str) -> OwnPrice:
    """Return the price of a config."""
    found = OwnPrice.from_config(price)
    assert found
    return found


@pytest.mark.report(13)
class TestOwnPrice:
    def test_takes_precedence_and_is_marked(self) -> None:
        for config in ({"model": "llama", "base_url": "https://llm.example"}, {"model": "gpt-4"}, {"model": "mine"}):
            asked = compose({**config, "price": OWN}, {"message": "Hi"}, max_output_tokens=None)
            # 1,000 at $0.15 and 500 at $0.60 a million.
            assert price_of(asked, USED, NOW) == Cost(150_000 + 300_000, "own")

    def test_does_not_apply_to_a_fallback(self) -> None:
        base = compose({"model": "gpt-4", "price": OWN}, {"message": "Hi"}, max_output_tokens=None)
        assert price_of(fallback_request(base, "gpt-4o"), USED, NOW) == price("openai", "gpt-4o")

    def test_charges_cached_input_by_its_own_price(self) -> None:
        cached = {**USED, Meter.TOKENS_CACHE_READ: 600, Meter.TOKENS_CACHE_WRITE: 300, Meter.TOKENS_CACHE_WRITE_1H: 100}
        with_cache = own_price(**OWN, cache_read_per_million_usd="0.01", cache_write_per_million_usd="0.2")
        assert with_cache.cost_nano_usd(cached) == 100 * 150 + 600 * 10 + 300 * 200 + 500 * 600
        assert own_price(**OWN).cost_nano_usd(cached) == own_price(**OWN).cost_nano_usd(USED)

    def test_is_rounded_half_up_once(self) -> None:
        tiny = own_price(input_per_million_usd="0.000001", output_per_million_usd="0")
        costs = [tiny.cost_nano_usd({Meter.TOKENS_IN: tokens}) for tokens in (499, 500, 1_499, 1_500)]
        assert costs == [0, 1, 1, 2]

    @given(tokens_in=TOKENS, read=TOKENS, out=TOKENS, usd_in=USD, usd_read=USD, usd_out=USD)
    def test_is_exact(
        self, tokens_in: int, read: int, out: int, usd_in: Decimal, usd_read: Decimal, usd_out: Decimal
    ) -> None:
        priced = own_price(
            input_per_million_usd=str(usd_in),
            output_per_million_usd=str(usd_out),
            cache_read_per_million_usd=str(usd_read),
        )
        used = {Meter.TOKENS_IN: tokens_in + read, Meter.TOKENS_CACHE_READ: read, Meter.TOKENS_OUT: out}
        exact = Fraction(usd_in) * tokens_in + Fraction(usd_read) * read + Fraction(usd_out) * out
        assert priced.cost_nano_usd(used) == math.floor(exact * 1_000 + Fraction(1, 2))
