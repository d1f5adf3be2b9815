"""What each provider is sent: all of a request, in its own words, once."""

from contextlib import closing
from typing import Any

import pytest

from services.runs.domain.request import Message, ToolCall
from services.runs.gateways.addresses import Addresses
from services.runs.gateways.clients import Clients, Connection
from services.runs.gateways.models import ProviderModels
from services.runs.gateways.openai_chat import OpenAiChat
from tests.services.runs.providers.server import ProviderServer, Received
from tests.services.runs.providers.speakers import (
    CHAT,
    CONVERSE,
    KEY,
    MESSAGES,
    RESPONSES,
    SPEAKERS,
    WEATHER,
    Speaker,
    answered,
    hear,
    refused,
    request,
)

CALLS = (ToolCall("call_a", "weather", '{"city": "Wien"}'), ToolCall("call_b", "weather", "not JSON"))
CONVERSATION = (
    Message("system", "Be kind."),
    Message("user", "Hi"),
    Message("assistant", "Hello."),
    Message("user", "The weather?"),
    Message("assistant", "", CALLS),
    Message("tool", "sunny", tool_call_id="call_a"),
    Message("tool", "rainy", tool_call_id="call_b"),
)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FULL: dict[str, Any] = {
    "messages": CONVERSATION,
    "tools": (WEATHER,),
    "temperature": 0.5,
    "response_schema": SCHEMA,
    "max_output_tokens": 77,
}
PARAMETERS = WEATHER.parameters


def sent(server: ProviderServer, models: ProviderModels, speaker: Speaker, **fields: Any) -> Received:  # noqa: ANN401
    """What a request becomes."""
    server.say(answered(speaker))
    assert hear(models, request(speaker, server.url, **fields)).ended
    return server.received[-1]


CHAT_BODY = {
    "model": "m",
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 77,
    "temperature": 0.5,
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "The weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Wien"}'}},
                {"id": "call_b", "type": "function", "function": {"name": "weather", "arguments": "not JSON"}},
            ],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "call_a"},
        {"role": "tool", "content": "rainy", "tool_call_id": "call_b"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "weather", "description": "The weather there.", "parameters": PARAMETERS},
        }
    ],
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    },
}
RESPONSES_BODY = {
    "model": "m",
    "stream": True,
    "store": False,
    "max_output_tokens": 77,
    "temperature": 0.5,
    "input": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "The weather?"},
        {"type": "function_call", "call_id": "call_a", "name": "weather", "arguments": '{"city": "Wien"}'},
        {"type": "function_call", "call_id": "call_b", "name": "weather", "arguments": "not JSON"},
        {"type": "function_call_output", "call_id": "call_a", "output": "sunny"},
        {"type": "function_call_output", "call_id": "call_b", "output": "rainy"},
    ],
    "tools": [
        {
            "type": "function",
            "name": "weather",
            "description": "The weather there.",
            "parameters": PARAMETERS,
            "strict": False,
        }
    ],
    "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}},
}
MESSAGES_BODY = {
    "model": "m",
    "stream": True,
    "max_tokens": 77,
    "temperature": 0.5,
    "system": [{"type": "text", "text": "Be kind."}],
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
        {"role": "user", "content": "The weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_a", "name": "weather", "input": {"city": "Wien"}},
                {"type": "tool_use", "id": "call_b", "name": "weather", "input": {"arguments": "not JSON"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_a", "content": "sunny"},
                {"type": "tool_result", "tool_use_id": "call_b", "content": "rainy"},
            ],
        },
    ],
    "tools": [{"name": "weather", "description": "The weather there.", "input_schema": PARAMETERS}],
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
}
CONVERSE_BODY = {
    "inferenceConfig": {"maxTokens": 77, "temperature": 0.5},
    "system": [{"text": "Be kind."}],
    "messages": [
        {"role": "user", "content": [{"text": "Hi"}]},
        {"role": "assistant", "content": [{"text": "Hello."}]},
        {"role": "user", "content": [{"text": "The weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"toolUse": {"toolUseId": "call_a", "name": "weather", "input": {"city": "Wien"}}},
                {"toolUse": {"toolUseId": "call_b", "name": "weather", "input": {"arguments": "not JSON"}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "call_a", "content": [{"text": "sunny"}]}},
                {"toolResult": {"toolUseId": "call_b", "content": [{"text": "rainy"}]}},
            ],
        },
    ],
    "toolConfig": {
        "tools": [
            {
                "toolSpec": {
                    "name": "weather",
                    "description": "The weather there.",
                    "inputSchema": {"json": PARAMETERS},
                }
            }
        ]
    },
    "outputConfig": {
        "textFormat": {
            "type": "json_schema",
            "structure": {
                "jsonSchema": {
                    "name": "answer",
                    "schema": '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}',
                }
            },
        }
    },
}
BODIES = ((CHAT, CHAT_BODY), (RESPONSES, RESPONSES_BODY), (MESSAGES, MESSAGES_BODY), (CONVERSE, CONVERSE_BODY))


class TestRequest:
    @pytest.mark.parametrize(("speaker", "body"), BODIES, ids=lambda value: str(value) if value in SPEAKERS else "")
    def test_everything_is_said(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker, body: object
    ) -> None:
        assert sent(server, models, speaker, **FULL).body == body

    @pytest.mark.parametrize("speaker", SPEAKERS, ids=str)
    def test_what_is_not_asked_for_is_not_said(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        body = sent(server, models, speaker).body
        optional = {"temperature", "tools", "toolConfig", "system", "text", "response_format", "output_config"}
        assert body.keys() & (optional | {"outputConfig"}) == set()

    @pytest.mark.parametrize("speaker", [CHAT, RESPONSES, MESSAGES], ids=str)
    def test_the_key_goes_in_a_header(self, server: ProviderServer, models: ProviderModels, speaker: Speaker) -> None:
        headers = {name.lower(): value for name, value in sent(server, models, speaker).headers.items()}
        assert KEY in {headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")}

    @pytest.mark.parametrize("speaker", SPEAKERS, ids=str)
    @pytest.mark.parametrize("status", [429, 500, 529])
    def test_is_sent_once(self, server: ProviderServer, models: ProviderModels, speaker: Speaker, status: int) -> None:
        before = len(server.received)
        server.say(refused(speaker, status))
        assert hear(models, request(speaker, server.url)).failure
        assert len(server.received) == before + 1

    def test_openai_itself_knows_the_cap_by_its_new_name(self, server: ProviderServer) -> None:
        server.say(answered(CHAT))
        with closing(Clients(Addresses(allow_private=True))) as clients:
            client = clients.openai(Connection(f"{server.url}/v1", KEY))
            assert list(OpenAiChat(client, official=True).stream(request(CHAT, server.url)))
        body = server.received[-1].body
        assert (body["max_completion_tokens"], "max_tokens" in body) == (100, False)
