"""Each provider as the table of cases knows it: its wire format, and a request that reaches the server here."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, cast

import botocore.session
from botocore.config import Config

from services.runs.domain.request import Api, Message, ModelRequest, Provider, Tool
from services.runs.errors import ProviderFailed
from services.runs.gateways.addresses import Addresses
from services.runs.gateways.keys import ProviderKeys
from services.runs.gateways.model import Counted, Ended, Part, Text, Working
from services.runs.gateways.models import ProviderModels
from shared.meters import Meter, Meters
from shared.times import utc_now
from tests.services.runs.providers.anthropic_wire import MessagesWire
from tests.services.runs.providers.bedrock_wire import ConverseWire
from tests.services.runs.providers.openai_wire import ChatWire, ResponsesWire
from tests.services.runs.providers.server import Piece, Reply
from tests.services.runs.providers.wire import Answer, Frames, Wire

KEY = "sk-test-0123456789"
WEATHER = Tool("weather", "The weather there.", {"type": "object", "properties": {"city": {"type": "string"}}})


@dataclass(frozen=True, slots=True)
class Speaker:
    """A provider's API."""

    provider: Provider
    api: Api
    wire: Wire
    base: str = ""
    """What stands between the server's address and the API's own path."""
    counts_first: bool = False
    """It says at the start of an answer what the input took, and that one output token is there."""
    counts_reasoning: bool = True

    def __str__(self) -> str:
        return self.api


CHAT = Speaker("openai", "chat", ChatWire(), base="/v1")
RESPONSES = Speaker("openai", "responses", ResponsesWire(), base="/v1")
MESSAGES = Speaker("anthropic", "messages", MessagesWire(), counts_first=True)
CONVERSE = Speaker("bedrock", "converse", ConverseWire(), counts_reasoning=False)
SPEAKERS = (CHAT, RESPONSES, MESSAGES, CONVERSE)


@dataclass
class Heard:
    """What came of a call."""

    text: str = ""
    counted: Meters = field(default_factory=dict[Meter, int])
    ended: Ended | None = None
    failure: ProviderFailed | None = None


@dataclass(frozen=True)
class OwnKeys:
    """A tenant with its own key for this server, whatever provider it plays."""

    url: str

    def get_secret_value(self, **_: object) -> Mapping[str, str]:
        """The same for each."""
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


def request(speaker: Speaker, url: str, *, timeout_s: float = 5, **fields: Any) -> ModelRequest:  # noqa: ANN401 — any field
    """A request of this provider's API at this address."""
    asked = ModelRequest(speaker.provider, "m", (Message("user", "Hi"),), 100, base_url=url + speaker.base)
    # The type says whole seconds; no test waits for one.
    return replace(asked, api=speaker.api, timeout_s=cast("int", timeout_s), **fields)


def answered(speaker: Speaker, answer: Answer | None = None) -> Reply:
    """A whole answer."""
    return framed(speaker, *frames(speaker, answer).all)


def frames(speaker: Speaker, answer: Answer | None = None) -> Frames:
    """The frames of an answer."""
    return speaker.wire.frames(answer or Answer())


def framed(speaker: Speaker, *pieces: Piece) -> Reply:
    """An answer that is made of these pieces."""
    return Reply(pieces, headers={"Content-Type": speaker.wire.content_type})


def refused(speaker: Speaker, status: int, message: str = "No.", **headers: str) -> Reply:
    """An error status with a body that the provider would send."""
    own, body = speaker.wire.refusal(message)
    return Reply((body,), status=status, headers={**own, **{name.replace("_", "-"): headers[name] for name in headers}})


def hear(models: ProviderModels, asked: ModelRequest) -> Heard:
    """Send the request and listen to the end, as a worker does."""
    heard = Heard()
    try:
        with closing(models.of("demo-org", asked).stream(asked)) as parts:
            for part in parts:
                _note(heard, part)
    except ProviderFailed as failure:
        heard.failure = failure
    return heard


def _note(heard: Heard, part: Part) -> None:
    assert heard.ended is None, "something came after the end"
    match part:
        case Text(text):
            heard.text += text
        case Counted(counted):
            heard.counted = counted
        case Ended():
            heard.ended = part
        case Working():
            pass
