"""The request that each provider receives."""

import json
from typing import Any

import pytest

from services.runs.providers.gateway.models import ProviderModels
from services.runs.runs.domain.conversation import Message, ToolCall
from tests.services.runs.providers.adapters import (
    ADAPTERS,
    CHAT,
    CONVERSE,
    KEY,
    MESSAGES,
    RESPONSES,
    WEATHER,
    Adapter,
    answered,
    receive,
    refused,
    request,
)
from tests.services.runs.providers.server import ProviderServer, Received

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
CLOSED = {**SCHEMA, "additionalProperties": False}
FULL: dict[str, Any] = {
    "messages": CONVERSATION,
    "tools": (WEATHER,),
    "temperature": 0.5,
    "response_schema": SCHEMA,
    "max_output_tokens": 77,
}
PARAMETERS = WEATHER.parameters


def sent(server: ProviderServer, models: ProviderModels, adapter: Adapter, **fields: Any) -> Received:  # noqa: ANN401
    """Return the request as the provider received it."""
    server.add_replies(answered(adapter))
    assert receive(models, request(adapter, server.url, **fields)).ended
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
        "json_schema": {"name": "answer", "schema": CLOSED, "strict": True},
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
    "text": {"format": {"type": "json_schema", "name": "answer", "schema": CLOSED, "strict": True}},
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
    "output_config": {"format": {"type": "json_schema", "schema": CLOSED}},
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
                    "schema": json.dumps(CLOSED),
                }
            },
        }
    },
}
BODIES = ((CHAT, CHAT_BODY), (RESPONSES, RESPONSES_BODY), (MESSAGES, MESSAGES_BODY), (CONVERSE, CONVERSE_BODY))


class TestRequest:
    @pytest.mark.parametrize(("adapter", "body"), BODIES, ids=lambda value: str(value) if value in ADAPTERS else "")
    def test_sends_every_field(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter, body: object
    ) -> None:
        assert sent(server, models, adapter, **FULL).body == body

    @pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
    def test_omits_unset_fields(self, server: ProviderServer, models: ProviderModels, adapter: Adapter) -> None:
        body = sent(server, models, adapter).body
        optional = {"temperature", "tools", "toolConfig", "system", "text", "response_format", "output_config"}
        assert body.keys() & (optional | {"outputConfig"}) == set()

    @pytest.mark.parametrize("adapter", [CHAT, RESPONSES, MESSAGES], ids=str)
    def test_sends_the_key_in_a_header(self, server: ProviderServer, models: ProviderModels, adapter: Adapter) -> None:
        headers = {name.lower(): value for name, value in sent(server, models, adapter).headers.items()}
        assert KEY in {headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")}

    @pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
    @pytest.mark.parametrize("status", [429, 500, 529])
    def test_is_sent_once(self, server: ProviderServer, models: ProviderModels, adapter: Adapter, status: int) -> None:
        before = len(server.received)
        server.add_replies(refused(adapter, status))
        assert receive(models, request(adapter, server.url)).failure
        assert len(server.received) == before + 1
