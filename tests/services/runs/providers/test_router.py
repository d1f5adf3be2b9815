"""Which model answers a request, with whose key, at which address."""

import gc
import weakref
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.runs.domain.request import Api, Message, ModelRequest, Provider
from services.runs.errors import ProviderFailed, ProviderNotConfigured
from services.runs.gateways.addresses import Addresses
from services.runs.gateways.anthropic_messages import AnthropicMessages
from services.runs.gateways.bedrock_converse import BedrockConverse
from services.runs.gateways.clients import Connection
from services.runs.gateways.keys import ProviderKeys
from services.runs.gateways.models import ProviderModels
from services.runs.gateways.openai_chat import OpenAiChat
from services.runs.gateways.openai_responses import OpenAiResponses
from services.runs.gateways.simulated import SimulatedModel
from shared.errors import DependencyUnavailable
from tests.services.runs.providers import speakers
from tests.services.runs.providers.server import ProviderServer, Reply
from tests.services.runs.providers.speakers import CHAT, KEY, MESSAGES, RESPONSES, Speaker, answered, hear, request

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)
ELSEWHERE = "https://llm.example.org/v1"


@dataclass(frozen=True)
class Secrets:
    """What Secrets Manager holds."""

    keys: dict[str, str]

    def get_secret_value(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue; `{}` where there is no key."""
        key = self.keys.get(arguments["SecretId"])
        return {"SecretString": f'{{"api_key": "{key}"}}' if key else "{}"}


class Broken:
    """Secrets that cannot be read."""

    def get_secret_value(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue."""
        message = "not now"
        raise DependencyUnavailable(message)


def asked(provider: Provider, *, base_url: str | None = None, api: Api | None = None) -> ModelRequest:
    """A request."""
    return ModelRequest(provider, "m", (Message("user", "Hi"),), 10, base_url=base_url, api=api)


def router(secrets: Secrets | Broken, addresses: Addresses | None = None) -> ProviderModels:
    """All providers with these secrets."""
    keys = ProviderKeys("test", of_tenant=lambda: secrets, of_platform=lambda: secrets, clock=lambda: NOW)
    return ProviderModels(keys, addresses=addresses or Addresses(), bedrock=lambda _: None)


PLATFORM = Secrets({"ainexus-test/openai/key": "sk-platform", "ainexus-test/anthropic/key": "sk-platform"})


class TestBedrockClients:
    def test_keeps_few_of_those_that_tenants_choose_by_their_timeouts(self) -> None:
        class Client:
            def converse_stream(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore's
                raise EndpointConnectionError(endpoint_url="https://bedrock.invalid")

        made: list[weakref.ref[Client]] = []

        def make(_: float) -> Client:
            client = Client()
            made.append(weakref.ref(client))
            return client

        model = BedrockConverse(make)
        for seconds in range(1, 101):
            with pytest.raises(ProviderFailed):
                list(model.stream(replace(asked("bedrock"), timeout_s=seconds)))
        gc.collect()
        assert (len(made), sum(client() is not None for client in made)) == (100, 8)


class TestProviderModels:
    @pytest.mark.parametrize(
        ("request_", "kind"),
        [
            (asked("simulated"), SimulatedModel),
            (asked("bedrock"), BedrockConverse),
            (asked("openai"), OpenAiResponses),
            (asked("openai", api="chat"), OpenAiChat),
            (asked("openai", base_url="https://api.openai.com/v1"), OpenAiResponses),
            (asked("openai", base_url=ELSEWHERE), OpenAiChat),
            (asked("openai", base_url=ELSEWHERE, api="responses"), OpenAiResponses),
            (asked("anthropic"), AnthropicMessages),
            (asked("anthropic", base_url=ELSEWHERE), AnthropicMessages),
        ],
    )
    def test_finds_the_api(self, request_: ModelRequest, kind: type) -> None:
        assert type(router(PLATFORM).of("demo-org", request_)) is kind

    @pytest.mark.parametrize("provider", ["openai", "anthropic"])
    def test_says_that_there_is_no_key(self, provider: Provider) -> None:
        with pytest.raises(ProviderNotConfigured):
            router(Secrets({})).of("demo-org", asked(provider))

    def test_needs_no_key_for_a_server_of_ones_own(self) -> None:
        assert router(Secrets({})).of("demo-org", asked("openai", base_url=ELSEWHERE))

    def test_says_that_keys_cannot_be_read(self) -> None:
        with pytest.raises(ProviderFailed) as raised:
            router(Broken()).of("demo-org", asked("openai"))
        assert (raised.value.code, raised.value.retry, raised.value.usage_known) == ("ProviderUnavailable", True, True)

    def test_refuses_a_private_address_before_anything_else(self) -> None:
        with pytest.raises(ProviderFailed) as raised:
            router(Broken()).of("demo-org", asked("openai", base_url="https://169.254.169.254/v1"))
        assert (raised.value.code, raised.value.retry) == ("ProviderRejected", False)


class TestAnswering:
    @pytest.mark.parametrize(
        ("secrets", "request_", "answers"),
        [
            (Secrets({}), asked("openai"), "simulated"),
            (Secrets({}), asked("bedrock"), "simulated"),
            (Secrets({}), asked("openai", base_url=ELSEWHERE), "openai"),
            (PLATFORM, asked("openai"), "openai"),
            (PLATFORM, asked("bedrock"), "simulated"),
            (Broken(), asked("openai"), "openai"),
        ],
    )
    def test_is_left_to_the_built_in_provider_where_a_key_is_missing(
        self, secrets: Secrets | Broken, request_: ModelRequest, answers: str
    ) -> None:
        keys = ProviderKeys("test", of_tenant=lambda: secrets, of_platform=lambda: secrets, clock=lambda: NOW)
        models = ProviderModels(keys, addresses=Addresses(), bedrock=lambda _: None, simulate_without_key=True)
        assert models.answering("demo-org", request_) == replace(request_, provider=answers)

    @pytest.mark.parametrize("provider", ["openai", "bedrock"])
    def test_is_a_refusal_where_that_is_not_allowed(self, provider: Provider) -> None:
        assert router(Secrets({})).answering("demo-org", asked(provider)) == asked(provider)


@pytest.fixture
def without_keys(server: ProviderServer) -> Generator[ProviderModels]:
    """Only the platform has keys."""
    keys = ProviderKeys("test", of_tenant=lambda: Secrets({}), of_platform=lambda: PLATFORM, clock=lambda: NOW)
    with closing(ProviderModels(keys, addresses=Addresses(allow_private=True), bedrock=lambda _: server)) as all_models:
        yield all_models


@pytest.mark.parametrize("speaker", [CHAT, RESPONSES, MESSAGES], ids=str)
class TestForeignServers:
    def test_are_never_given_the_platforms_key(
        self, server: ProviderServer, without_keys: ProviderModels, speaker: Speaker
    ) -> None:
        server.say(answered(speaker))
        assert hear(without_keys, request(speaker, server.url)).ended
        assert "sk-platform" not in str(server.received[-1].headers)

    def test_cannot_redirect(self, server: ProviderServer, models: ProviderModels, speaker: Speaker) -> None:
        before = len(server.received)
        server.say(Reply((), status=307, headers={"Location": f"{server.url}/elsewhere"}), answered(speaker))
        heard = hear(models, request(speaker, server.url))
        server.script.clear()
        assert heard.failure
        assert (heard.failure.code, heard.failure.retry) == ("ProviderRejected", False)
        assert len(server.received) == before + 1

    @pytest.mark.parametrize("answers", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:127.0.0.1"]])
    def test_cannot_hide_a_private_address_behind_a_name(
        self, server: ProviderServer, speaker: Speaker, answers: list[str]
    ) -> None:
        port = server.server_address[1]
        before = server.connections
        addresses = Addresses(resolve=lambda _host, _port: answers)
        with closing(speakers.models(server.url, addresses=addresses)) as strict:
            heard = hear(strict, request(speaker, f"https://innocent.example:{port}"))
        assert heard.failure
        assert (heard.failure.code, heard.failure.retry, heard.failure.usage_known) == ("ProviderRejected", False, True)
        assert server.connections == before

    def test_are_connected_to_at_the_address_that_was_checked(self, server: ProviderServer, speaker: Speaker) -> None:
        port = server.server_address[1]
        resolved: list[str] = []

        def resolve(host: str, _: int) -> list[str]:
            resolved.append(host)
            return ["127.0.0.1"]

        addresses = Addresses(allow_private=True, resolve=resolve)
        server.say(answered(speaker))
        with closing(speakers.models(server.url, addresses=addresses)) as all_models:
            assert hear(all_models, request(speaker, f"http://no-such-name.example:{port}")).ended
        assert resolved == ["no-such-name.example"]
        assert server.received[-1].headers["Host"] == f"no-such-name.example:{port}"


class TestKey:
    def test_is_not_shown(self) -> None:
        assert KEY not in repr(Connection("https://llm.example.org", KEY))

    @pytest.mark.parametrize("speaker", [CHAT, RESPONSES, MESSAGES], ids=str)
    def test_is_in_no_failure(self, server: ProviderServer, models: ProviderModels, speaker: Speaker) -> None:
        server.say(speakers.refused(speaker, 401, f"Incorrect API key provided: {KEY}"))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure
        assert KEY not in f"{heard.failure!r} {vars(heard.failure)}"
        assert heard.failure.__suppress_context__
