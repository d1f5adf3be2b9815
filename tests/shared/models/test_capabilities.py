"""The table of capabilities."""

from datetime import date

import pytest

from shared.models.capabilities import SAMPLING, TABLE, Parameter, capabilities_of
from shared.models.names import parse

REASONING = SAMPLING | {Parameter.STOP}
NOTHING = frozenset[Parameter]()


class TestTable:
    def test_has_a_page_and_a_date_for_each_row(self) -> None:
        for row in TABLE:
            assert row.source.startswith("https://")
            assert date(2026, 1, 1) < row.read_on <= date(2026, 11, 30)

    def test_names_each_family_once(self) -> None:
        families = [(row.provider, row.family) for row in TABLE]
        assert len(set(families)) == len(families)

    def test_has_names_whose_provider_is_inferred(self) -> None:
        for row in TABLE:
            assert parse(f"{row.family}-1").provider == row.provider


class TestCapabilitiesOf:
    @pytest.mark.parametrize(
        ("provider", "model", "refuses"),
        [
            ("openai", "gpt-4o-2024-08-06", NOTHING),
            ("openai", "gpt-5-mini", REASONING),
            ("openai", "gpt-5.1-2025-11-13", {Parameter.STOP}),
            ("openai", "gpt-5-1", {Parameter.STOP}),
            ("openai", "gpt-6-luna", REASONING),
            ("openai", "o3", REASONING),
            ("openai", "ft:gpt-4o-mini:acme::1", NOTHING),
            ("anthropic", "claude-opus-4-6", NOTHING),
            ("anthropic", "claude-opus-4-7", SAMPLING),
            ("anthropic", "claude-sonnet-5-5", SAMPLING),
            ("bedrock", "global.anthropic.claude-opus-4-7-v1:0", SAMPLING),
            ("bedrock", "anthropic.claude-opus-4-7-v1:0", SAMPLING),
            ("bedrock", "us.openai.gpt-5.6-luna", REASONING),
            (
                "bedrock",
                "arn:aws:bedrock:us-east-2:111111111111:inference-profile/us.anthropic.claude-opus-5",
                SAMPLING,
            ),
            ("bedrock", "global.xai.grok-4.6", SAMPLING),
            ("azure", "gpt-5-mini-prod", REASONING),
        ],
    )
    def test_are_those_of_the_longest_family(self, provider: str, model: str, refuses: frozenset[Parameter]) -> None:
        row = capabilities_of(provider, model)
        assert row
        assert row.refuses == refuses

    @pytest.mark.parametrize(
        ("provider", "model"),
        [("openai", "o5-mini"), ("openai", "gpt-50"), ("azure", "prod"), ("bedrock", "mine"), ("simulated", "gpt-4")],
    )
    def test_are_unknown_for_other_models(self, provider: str, model: str) -> None:
        assert capabilities_of(provider, model) is None

    def test_have_the_date_of_the_maker_only_at_the_maker(self) -> None:
        dates = [capabilities_of(provider, "gpt-4o") for provider in ("openai", "azure")]
        assert [row.retires_on if row else "" for row in dates] == [date(2027, 1, 14), None]
