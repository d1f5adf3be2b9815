"""The providers under test: wire format and requests to the local server."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, cast

import botocore.session
from botocore.config import Config

from services.runs.errors import ProviderFailed
from services.runs.providers.domain.model import (
    ParameterOmitted,
    StreamActivity,
    StreamEnd,
    StreamPart,
    TextDelta,
    UsageUpdate,
)
from services.runs.providers.domain.request import Api, ModelRequest, Provider, ToolDefinition
from services.runs.providers.gateway.addresses import Addresses
from services.runs.providers.gateway.keys import ProviderKeys
from services.runs.providers.gateway.models import ProviderModels
from services.runs.runs.domain.conversation import Message
from shared.meters import Meter, Meters
from shared.models.capabilities import Parameter
from shared.times import utc_now
from tests.services.runs.providers.anthropic_wire import MessagesWire
from tests.services.runs.providers.bedrock_wire import ConverseWire
from tests.services.runs.providers.openai_wire import ChatWire, ResponsesWire
from tests.services.runs.providers.server import Piece, Reply
from tests.services.runs.providers.wire import Answer, Frames, Wire

KEY = "sk-test-0123456789"
WEATHER = ToolDefinition(
    "weather", "The weather there.", {"type": "object", "properties": {"city": {"type": "string"}}}
)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A provider's API."""

    provider: Provider
    api: Api
    wire: Wire
    base: str = ""
    """The path between the server's address and the API's own path."""
    counts_first: bool = False
    """Whether its first event counts the input and one output token."""
    counts_reasoning: bool = True

    def __str__(self) -> str:
        return self.api


CHAT = Adapter("openai", "chat", ChatWire(), base="/v1")
RESPONSES = Adapter("openai", "responses", ResponsesWire(), base="/v1")
MESSAGES = Adapter("anthropic", "messages", MessagesWire(), counts_first=True)
CONVERSE = Adapter("bedrock", "converse", ConverseWire(), counts_reasoning=False)
ADAPTERS = (CHAT, RESPONSES, MESSAGES, CONVERSE)


@dataclass
class CallResult:
    """The result of a call."""

    text: str = ""
    counted: Meters = field(default_factory=dict[Meter, int])
    ended: StreamEnd | None = None
    failure: ProviderFailed | None = None
    omitted: list[Parameter] = field(default_factory=list[Parameter])


@dataclass(frozen=True)
class OwnKeys:
    """Secrets of a tenant with its own key for this server."""

    url: str

    def get_secret_value(self, **_: object) -> Mapping[str, str]:
        """Return the same key for each provider."""
        return {"SecretString": json.dumps({"api_key": KEY, "base_url": self.url})}


def models(url: str, *, addresses: Addresses | None = None) -> ProviderModels:
    """All providers, with Bedrock at this address."""

    def bedrock(seconds: float) -> Any:  # noqa: ANN401 — botocore makes clients from data
        return botocore.session.get_session().create_client(
            "bedrock-runtime",
            endpoint_url=url,
            region_name="us-east-2",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(connect_timeout=1, read_timeout=seconds, retries={"total_max_attempts": 1}),
        )

    secrets = OwnKeys(url)
    keys = ProviderKeys("test", of_tenant=lambda: secrets, of_platform=lambda: secrets, clock=utc_now)
    return ProviderModels(keys, addresses=addresses or Addresses(allow_private=True), bedrock=bedrock)


def request(adapter: Adapter, url: str, *, timeout_s: float = 5, **fields: Any) -> ModelRequest:  # noqa: ANN401 — any field
    """Return a request to this address in the provider's API."""
    asked = ModelRequest(adapter.provider, "m", (Message("user", "Hi"),), 100, base_url=url + adapter.base)
    # The declared type is whole seconds, which are too long for tests.
    return replace(asked, api=adapter.api, timeout_s=cast("int", timeout_s), **fields)


def answered(adapter: Adapter, answer: Answer | None = None) -> Reply:
    """Return a complete response."""
    return framed(adapter, *frames(adapter, answer).all)


def frames(adapter: Adapter, answer: Answer | None = None) -> Frames:
    """Return the frames of a response."""
    return adapter.wire.frames(answer or Answer())


def framed(adapter: Adapter, *pieces: Piece) -> Reply:
    """Return a response of these pieces."""
    return Reply(pieces, headers={"Content-Type": adapter.wire.content_type})


def refused(adapter: Adapter, status: int, message: str = "No.", **headers: str) -> Reply:
    """Return an error status with the provider's body."""
    own, body = adapter.wire.refusal(message)
    return Reply((body,), status=status, headers={**own, **{name.replace("_", "-"): headers[name] for name in headers}})


def receive(models: ProviderModels, asked: ModelRequest) -> CallResult:
    """Send the request and read the response to its end."""
    received = CallResult()
    try:
        with closing(models.of("demo-org", asked).stream(asked)) as parts:
            for part in parts:
                _note(received, part)
    except ProviderFailed as failure:
        received.failure = failure
    return received


def _note(received: CallResult, part: StreamPart) -> None:
    assert received.ended is None, "something came after the end"
    match part:
        case TextDelta(text):
            received.text += text
        case UsageUpdate(counted):
            received.counted = counted
        case StreamEnd():
            received.ended = part
        case ParameterOmitted(parameter):
            received.omitted.append(parameter)
        case StreamActivity():
            pass
