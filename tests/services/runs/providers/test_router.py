"""The selection of a model, its key and its address."""

import gc
import json
import weakref
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from services.runs.errors import ProviderFailed, ProviderNotConfigured
from services.runs.providers.domain.request import Api, ModelRequest, Provider, compose
from services.runs.providers.gateway.addresses import Addresses
from services.runs.providers.gateway.anthropic_messages import AnthropicMessages
from services.runs.providers.gateway.bedrock_converse import BedrockConverse
from services.runs.providers.gateway.clients import Connection
from services.runs.providers.gateway.keys import ProviderKeys
from services.runs.providers.gateway.models import ProviderModels
from services.runs.providers.gateway.openai_chat import OpenAiChat
from services.runs.providers.gateway.openai_responses import OpenAiResponses
from services.runs.providers.gateway.recovery import TolerantModel
from services.runs.providers.gateway.simulated import SimulatedModel
from services.runs.runs.domain.conversation import Message
from shared.errors import DependencyUnavailable
from shared.models.capabilities import Parameter
from tests.services.runs.providers import adapters
from tests.services.runs.providers.adapters import CHAT, KEY, MESSAGES, RESPONSES, Adapter, answered, receive, request
from tests.services.runs.providers.server import ProviderServer, Reply

NOW = datetime(2026, 11, 22, 23, 19, 5, tzinfo=UTC)
ELSEWHERE = "https://llm.example.org/v1"
REGIONAL = "https://eu.api.openai.com/v1"


@dataclass(frozen=True)
class Secrets:
    """A fake of Secrets Manager."""

    keys: dict[str, str]
    base_url: str | None = None
    """The server that all keys belong to; None: the provider's own."""

    def get_secret_value(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue; `{}` without a key."""
        key = self.keys.get(arguments["SecretId"])
        return {"SecretString": json.dumps({"api_key": key, "base_url": self.base_url} if key else {})}


class Broken:
    """A Secrets Manager that fails."""

    def get_secret_value(self, **_: Any) -> Any:  # noqa: ANN401 — as botocore's
        """GetSecretValue."""
        message = "not now"
        raise DependencyUnavailable(message)


def asked(provider: Provider, *, base_url: str | None = None, api: Api | None = None) -> ModelRequest:
    """Return a request."""
    return ModelRequest(provider, "m", (Message("user", "Hi"),), 10, base_url=base_url, api=api)


def router(secrets: Secrets | Broken, addresses: Addresses | None = None) -> ProviderModels:
    """Return all providers with these secrets."""
    keys = ProviderKeys("test", of_tenant=lambda: secrets, of_platform=lambda: secrets, clock=lambda: NOW)
    return ProviderModels(keys, addresses=addresses or Addresses(), bedrock=lambda _: None)


PLATFORM = Secrets({"ainexus-test/openai/key": "sk-platform", "ainexus-test/anthropic/key": "sk-platform"})


class TestBedrockClients:
    def test_limits_cached_clients_by_timeout(self) -> None:
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
            (asked("openai", base_url=REGIONAL), OpenAiResponses),
            (asked("anthropic"), AnthropicMessages),
            (asked("anthropic", base_url=ELSEWHERE), AnthropicMessages),
        ],
    )
    def test_selects_the_api(self, request_: ModelRequest, kind: type) -> None:
        own = Secrets({"ainexus-test/tenants/demo-org/openai/key": "sk-own"}, base_url=request_.base_url)
        selected = router(own if request_.base_url == REGIONAL else PLATFORM).of("demo-org", request_)
        assert isinstance(selected, TolerantModel)
        assert type(selected.model) is kind

    @pytest.mark.parametrize("provider", ["openai", "anthropic"])
    def test_raises_without_a_key(self, provider: Provider) -> None:
        with pytest.raises(ProviderNotConfigured):
            router(Secrets({})).of("demo-org", asked(provider))

    def test_needs_no_key_for_a_custom_server(self) -> None:
        assert router(Secrets({})).of("demo-org", asked("openai", base_url=ELSEWHERE))

    def test_reports_that_keys_cannot_be_read(self) -> None:
        with pytest.raises(ProviderFailed) as raised:
            router(Broken()).of("demo-org", asked("openai"))
        assert (raised.value.code, raised.value.retry, raised.value.usage_known) == ("ProviderUnavailable", True, True)

    def test_refuses_a_private_address_first(self) -> None:
        with pytest.raises(ProviderFailed) as raised:
            router(Broken()).of("demo-org", asked("openai", base_url="https://169.254.169.254/v1"))
        assert (raised.value.code, raised.value.retry) == ("ProviderRejected", False)


class TestEffectiveRequest:
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
    def test_uses_the_built_in_provider_without_a_key(
        self, secrets: Secrets | Broken, request_: ModelRequest, answers: str
    ) -> None:
        keys = ProviderKeys("test", of_tenant=lambda: secrets, of_platform=lambda: secrets, clock=lambda: NOW)
        models = ProviderModels(keys, addresses=Addresses(), bedrock=lambda _: None, simulate_without_key=True)
        assert models.effective_request("demo-org", request_) == replace(request_, provider=answers)

    @pytest.mark.parametrize("provider", ["openai", "bedrock"])
    def test_refuses_without_a_key_if_simulation_is_off(self, provider: Provider) -> None:
        assert router(Secrets({})).effective_request("demo-org", asked(provider)) == asked(provider)


@pytest.fixture
def without_keys(server: ProviderServer) -> Generator[ProviderModels]:
    """Return providers with the platform's keys only."""
    keys = ProviderKeys("test", of_tenant=lambda: Secrets({}), of_platform=lambda: PLATFORM, clock=lambda: NOW)
    with closing(ProviderModels(keys, addresses=Addresses(allow_private=True), bedrock=lambda _: server)) as all_models:
        yield all_models


@pytest.mark.parametrize("adapter", [CHAT, RESPONSES, MESSAGES], ids=str)
class TestForeignServers:
    def test_never_receive_the_platforms_key(
        self, server: ProviderServer, without_keys: ProviderModels, adapter: Adapter
    ) -> None:
        server.add_replies(answered(adapter))
        assert receive(without_keys, request(adapter, server.url)).ended
        assert "sk-platform" not in str(server.received[-1].headers)

    def test_cannot_redirect(self, server: ProviderServer, models: ProviderModels, adapter: Adapter) -> None:
        before = len(server.received)
        server.add_replies(Reply((), status=307, headers={"Location": f"{server.url}/elsewhere"}), answered(adapter))
        received = receive(models, request(adapter, server.url))
        server.script.clear()
        assert received.failure
        assert (received.failure.code, received.failure.retry) == ("ProviderRejected", False)
        assert len(server.received) == before + 1

    @pytest.mark.parametrize("answers", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:127.0.0.1"]])
    def test_cannot_hide_a_private_address_behind_a_name(
        self, server: ProviderServer, adapter: Adapter, answers: list[str]
    ) -> None:
        port = server.server_address[1]
        before = server.connections
        addresses = Addresses(resolve=lambda _host, _port: answers)
        with closing(adapters.models(server.url, addresses=addresses)) as strict:
            received = receive(strict, request(adapter, f"https://innocent.example:{port}"))
        assert received.failure
        assert (received.failure.code, received.failure.retry, received.failure.usage_known) == (
            "ProviderRejected",
            False,
            True,
        )
        assert server.connections == before

    def test_are_connected_at_the_checked_address(self, server: ProviderServer, adapter: Adapter) -> None:
        port = server.server_address[1]
        resolved: list[str] = []

        def resolve(host: str, _: int) -> list[str]:
            resolved.append(host)
            return ["127.0.0.1"]

        addresses = Addresses(allow_private=True, resolve=resolve)
        server.add_replies(answered(adapter))
        with closing(adapters.models(server.url, addresses=addresses)) as all_models:
            assert receive(all_models, request(adapter, f"http://no-such-name.example:{port}")).ended
        assert resolved == ["no-such-name.example"]
        assert server.received[-1].headers["Host"] == f"no-such-name.example:{port}"


@pytest.mark.report(5)
class TestAzure:
    def test_receives_its_key_in_its_own_header_and_the_cap_under_its_new_name(self, server: ProviderServer) -> None:
        url = f"http://acme.openai.azure.com:{server.server_address[1]}/openai/v1"
        addresses = Addresses(allow_private=True, resolve=lambda _host, _port: ["127.0.0.1"])
        server.add_replies(answered(CHAT))
        with closing(adapters.models(url, addresses=addresses)) as all_models:
            config = {"model": "azure/gpt-5-mini", "base_url": url, "temperature": 0.5, "max_output_tokens": 77}
            asked = compose(config, {"message": "Hi"}, max_output_tokens=None)
            received = receive(all_models, asked)
        assert received.failure is None
        [headers, body] = [server.received[-1].headers, server.received[-1].body]
        assert (received.text, received.omitted) == ("Hello, world", [Parameter.TEMPERATURE])
        assert (headers["api-key"], "authorization" in {name.lower() for name in headers}) == (KEY, False)
        assert (body["model"], body["max_completion_tokens"]) == ("gpt-5-mini", 77)
        assert {"max_tokens", "temperature"}.isdisjoint(body)
        assert server.received[-1].path == "/openai/v1/chat/completions"

    def test_never_receives_the_platforms_key(self, server: ProviderServer, without_keys: ProviderModels) -> None:
        before = len(server.received)
        url = f"http://acme.openai.azure.com:{server.server_address[1]}/openai/v1"
        with pytest.raises(ProviderNotConfigured):
            without_keys.of("demo-org", ModelRequest("azure", "prod", (Message("user", "Hi"),), 10, base_url=url))
        assert len(server.received) == before

    def test_has_no_server_without_a_base_url(self) -> None:
        with pytest.raises(ProviderNotConfigured):
            router(PLATFORM).of("demo-org", asked("azure"))


class TestKey:
    def test_is_hidden_in_its_repr(self) -> None:
        assert KEY not in repr(Connection("https://llm.example.org", KEY))

    @pytest.mark.parametrize("adapter", [CHAT, RESPONSES, MESSAGES], ids=str)
    def test_is_in_no_failure(self, server: ProviderServer, models: ProviderModels, adapter: Adapter) -> None:
        server.add_replies(adapters.refused(adapter, 401, f"Incorrect API key provided: {KEY}"))
        received = receive(models, request(adapter, server.url))
        assert received.failure
        assert KEY not in f"{received.failure!r} {vars(received.failure)}"
        assert received.failure.__suppress_context__
