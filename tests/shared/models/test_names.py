"""The providers that names of models imply."""

import pytest

from shared.models.names import ModelName, UnknownModel, WrongPrefix, locate, nearest_names, parse

AZURE = "https://acme.openai.azure.com/openai/v1"
REGIONAL = "https://eu.api.openai.com/v1"
OWN = "https://llm.example.org/v1"


@pytest.mark.report(10)
class TestParse:
    @pytest.mark.parametrize(
        ("name", "provider", "model"),
        [
            ("gpt-5.4", "openai", "gpt-5.4"),
            ("GPT-5.4", "openai", "gpt-5.4"),
            ("chatgpt-4o-latest", "openai", "chatgpt-4o-latest"),
            ("codex-mini-latest", "openai", "codex-mini-latest"),
            ("O5-mini", "openai", "o5-mini"),
            ("o3", "openai", "o3"),
            ("ft:gpt-4o-mini:Acme::Id7", "openai", "ft:gpt-4o-mini:Acme::Id7"),
            ("Claude-Opus-4-8", "anthropic", "claude-opus-4-8"),
            ("us.anthropic.claude-sonnet-4-6-v1:0", "bedrock", "us.anthropic.claude-sonnet-4-6-v1:0"),
            ("Amazon.Nova-Pro-v1:0", "bedrock", "amazon.nova-pro-v1:0"),
            (
                "arn:aws:bedrock:us-east-2:111111111111:application-inference-profile/AbC",
                "bedrock",
                "arn:aws:bedrock:us-east-2:111111111111:application-inference-profile/AbC",
            ),
            ("openai/gpt-4o", "openai", "gpt-4o"),
            ("OpenAI/GPT-4o", "openai", "gpt-4o"),
            ("anthropic/claude-opus-5", "anthropic", "claude-opus-5"),
            ("bedrock/my-imported-model", "bedrock", "my-imported-model"),
            ("azure/My-Deployment", "azure", "My-Deployment"),
        ],
    )
    def test_infers_the_provider(self, name: str, provider: str, model: str) -> None:
        found = parse(name)
        assert (found.provider, found.model) == (provider, model)

    @pytest.mark.parametrize("name", ["mystery", "gpt4", "gpt-", "o", "orca-2", "openai/", "/gpt-4", "google/gemini"])
    def test_refuses_other_names(self, name: str) -> None:
        with pytest.raises(UnknownModel):
            parse(name)

    def test_names_the_three_nearest_models(self) -> None:
        with pytest.raises(UnknownModel, match="the nearest names are claude-sonnet-4-5, claude-sonnet-5-5 and"):
            parse("claud-sonnet-4-5")


class TestNearestNames:
    @pytest.mark.parametrize("name", ["gpt4", "", "~" * 200, "nova-pro"])
    def test_are_always_three(self, name: str) -> None:
        assert len(set(nearest_names(name))) == 3

    @pytest.mark.parametrize(
        ("name", "first"), [("gpt4o", "gpt-4o"), ("nova-pro", "amazon.nova-pro-v1:0"), ("claude-opus5", None)]
    )
    def test_begin_with_the_most_similar_one(self, name: str, first: str | None) -> None:
        assert nearest_names(name)[0] == (first or "claude-opus-5")


@pytest.mark.report(10)
class TestLocate:
    @pytest.mark.parametrize(
        ("name", "provider", "base_url", "located"),
        [
            ("gpt-4o", None, None, ModelName("openai", "gpt-4o")),
            ("my-model", "bedrock", None, ModelName("bedrock", "my-model")),
            ("anything", "simulated", None, ModelName("simulated", "anything")),
            ("openai/GPT-4o", "simulated", None, ModelName("simulated", "gpt-4o")),
            ("meta-llama/Llama-3", None, OWN, ModelName("openai", "meta-llama/Llama-3")),
            ("openai/gpt-oss-20b", None, OWN, ModelName("openai", "openai/gpt-oss-20b")),
            ("claude", "anthropic", OWN, ModelName("anthropic", "claude")),
            ("My-Deployment", None, AZURE, ModelName("azure", "My-Deployment")),
            ("gpt-4o", "openai", AZURE, ModelName("azure", "gpt-4o")),
            ("azure/My-Deployment", None, AZURE, ModelName("azure", "My-Deployment")),
            ("GPT-4o", None, REGIONAL, ModelName("openai", "gpt-4o")),
            ("openai/gpt-4o", None, REGIONAL, ModelName("openai", "gpt-4o")),
        ],
    )
    def test_finds_the_provider(
        self, name: str, provider: str | None, base_url: str | None, located: ModelName
    ) -> None:
        assert locate(name, provider=provider, base_url=base_url) == located

    @pytest.mark.parametrize(
        ("name", "provider", "base_url"),
        [
            ("openai/gpt-4o", "anthropic", None),
            ("anthropic/claude-opus-5", None, AZURE),
            ("azure/gpt-4o", None, None),
            ("azure/gpt-4o", None, REGIONAL),
            ("gpt-4o", "azure", OWN),
            ("gpt-4o", "azure", None),
        ],
    )
    def test_refuses_a_prefix_that_contradicts(self, name: str, provider: str | None, base_url: str | None) -> None:
        with pytest.raises(WrongPrefix):
            locate(name, provider=provider, base_url=base_url)
