"""Answers with opaque state in each wire format: two tool calls, with reasoning before, between and after the text."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.runs.providers.domain.model import StopReason
from services.runs.runs.domain.conversation import ToolCall
from tests.services.runs.providers.adapters import CHAT, CONVERSE, MESSAGES, RESPONSES, Adapter, framed, frames
from tests.services.runs.providers.bedrock_wire import frame
from tests.services.runs.providers.server import Reply
from tests.services.runs.providers.test_calls import CALLS
from tests.services.runs.providers.wire import Answer, data, event, halves

TEXT = "Let me see."
THOUGHT = 'The sky is "grey" 🌧 over Wien tonight.'
"""Its middle is within a surrogate pair."""
SIGNATURE = b64encode(b"signed" * 50).decode()
HIDDEN = b64encode(b"hidden" * 50).decode()
GEMINI = {"google": {"thought_signature": SIGNATURE, "more": [1, {"deep": None}]}}


@dataclass(frozen=True)
class Reasoned:
    """An answer with opaque state."""

    reply: Reply
    returned: Sequence[Mapping[str, Any]]
    """The part of the next request's body that returns it."""


def reasoned(adapter: Adapter, *, whole: bool, hidden: str = HIDDEN) -> Reasoned:
    """Return the answer, with each text whole or in two pieces."""
    build = {CHAT: _chat, RESPONSES: _responses, MESSAGES: _messages, CONVERSE: _converse}[adapter]
    middle, returned = build(whole=whole, hidden=hidden)
    payload = frames(adapter, Answer((), CALLS, StopReason.TOOL_CALLS))
    return Reasoned(framed(adapter, *payload.opening, *middle, *payload.closing), returned)


def returned_in(adapter: Adapter, body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the model's turn in a request's body."""
    if adapter is RESPONSES:
        return [item for item in body["input"] if item.get("role") != "user" and "output" not in item]
    turn = next(message for message in body["messages"] if message["role"] == "assistant")
    return [turn] if adapter is CHAT else turn["content"]


def _pieces(text: str, *, whole: bool) -> Iterator[str]:
    yield from [text] if whole else halves(text)


def _chat(*, whole: bool, hidden: str) -> tuple[Sequence[bytes], Sequence[Mapping[str, Any]]]:
    def delta(**fields: Any) -> bytes:  # noqa: ANN401 — any field
        return data({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]})

    def call(place: int, call: ToolCall) -> Iterator[bytes]:
        extra = {"extra_content": GEMINI} if place == 0 else {}
        begun = {"index": place, "id": call.id, "function": {"name": call.name, "arguments": ""}, **extra}
        yield delta(tool_calls=[begun])
        for piece in _pieces(call.arguments, whole=whole):
            yield delta(tool_calls=[{"index": place, "function": {"arguments": piece}}])

    first = {"type": "reasoning.text", "index": 0, "format": "x", "text": THOUGHT, "signature": SIGNATURE}
    second = {"type": "reasoning.encrypted", "index": 1, "data": hidden}
    middle = [
        *(delta(reasoning_content=piece) for piece in _pieces(THOUGHT, whole=whole)),
        *(
            delta(reasoning_details=[{**first, "text": piece, "signature": None}])
            for piece in _pieces(THOUGHT, whole=whole)
        ),
        delta(reasoning_details=[{**first, "text": "", "signature": SIGNATURE}, second]),
        *(delta(content=piece) for piece in _pieces(TEXT, whole=whole)),
        *(fragment for place, one in enumerate(CALLS) for fragment in call(place, one)),
    ]
    calls: list[dict[str, Any]] = [
        {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}} for one in CALLS
    ]
    calls[0]["extra_content"] = GEMINI
    turn = {"role": "assistant", "content": TEXT, "tool_calls": calls}
    return middle, [{**turn, "reasoning_content": THOUGHT, "reasoning_details": [first, second]}]


def _responses(*, whole: bool, hidden: str) -> tuple[Sequence[bytes], Sequence[Mapping[str, Any]]]:
    def done(place: int, item: Mapping[str, Any]) -> bytes:
        return event({"type": "response.output_item.done", "output_index": place, "item": item, "sequence_number": 2})

    def text(piece: str) -> bytes:
        return event(
            {
                "type": "response.output_text.delta",
                "item_id": "msg_1",
                "output_index": 1,
                "content_index": 0,
                "delta": piece,
                "sequence_number": 1,
                "logprobs": [],
            }
        )

    encrypted: list[Mapping[str, Any]] = [
        {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": f"{hidden}{number}"}
        for number in range(2)
    ]
    message: Mapping[str, Any] = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [],
        "phase": "commentary",
    }
    first, second = (
        {
            "type": "function_call",
            "id": f"fc_{one.id}",
            "call_id": one.id,
            "name": one.name,
            "arguments": one.arguments,
            "status": "completed",
        }
        for one in CALLS
    )
    begun = {"type": "response.output_item.added", "output_index": 1, "item": message, "sequence_number": 1}
    middle = [
        done(0, encrypted[0]),
        # Without its content, the server would look it up in its own storage, where it is not.
        done(0, {"type": "reasoning", "id": "rs_x", "summary": []}),
        event(begun),
        *(text(piece) for piece in _pieces(TEXT, whole=whole)),
        done(1, message),
        done(2, first),
        done(3, encrypted[1]),
        done(4, second),
    ]
    calls = [
        {"type": "function_call", "call_id": one.id, "name": one.name, "arguments": one.arguments} for one in CALLS
    ]
    message = {"role": "assistant", "content": TEXT, "phase": "commentary"}
    return middle, [encrypted[0], message, calls[0], encrypted[1], calls[1]]


def _messages(*, whole: bool, hidden: str) -> tuple[Sequence[bytes], Sequence[Mapping[str, Any]]]:
    def block(place: int, begun: Mapping[str, Any], *deltas: Mapping[str, Any]) -> Iterator[bytes]:
        yield event({"type": "content_block_start", "index": place, "content_block": begun})
        for delta in deltas:
            yield event({"type": "content_block_delta", "index": place, "delta": delta})
        yield event({"type": "content_block_stop", "index": place})

    def thought(place: int) -> Iterator[bytes]:
        pieces = ({"type": "thinking_delta", "thinking": piece} for piece in _pieces(THOUGHT, whole=whole))
        signature = {"type": "signature_delta", "signature": SIGNATURE}
        return block(place, {"type": "thinking", "thinking": "", "signature": ""}, *pieces, signature)

    def use(place: int, call: ToolCall) -> Iterator[bytes]:
        pieces = ({"type": "input_json_delta", "partial_json": piece} for piece in _pieces(call.arguments, whole=whole))
        return block(place, {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, *pieces)

    deltas = ({"type": "text_delta", "text": piece} for piece in _pieces(TEXT, whole=whole))
    middle = [
        *thought(0),
        *block(1, {"type": "redacted_thinking", "data": hidden}),
        *block(2, {"type": "text", "text": ""}, *deltas),
        *use(3, CALLS[0]),
        *thought(4),
        *use(5, CALLS[1]),
    ]
    thinking = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
    uses = [{"type": "tool_use", "id": one.id, "name": one.name, "input": json.loads(one.arguments)} for one in CALLS]
    text = {"type": "text", "text": TEXT}
    return middle, [thinking, {"type": "redacted_thinking", "data": hidden}, text, uses[0], thinking, uses[1]]


def _converse(*, whole: bool, hidden: str) -> tuple[Sequence[bytes], Sequence[Mapping[str, Any]]]:
    def delta(place: int, delta: Mapping[str, Any]) -> bytes:
        return frame("event", "contentBlockDelta", {"contentBlockIndex": place, "delta": delta})

    def thought(place: int) -> Iterator[bytes]:
        for piece in _pieces(THOUGHT, whole=whole):
            yield delta(place, {"reasoningContent": {"text": piece}})
        yield delta(place, {"reasoningContent": {"signature": SIGNATURE}})

    def use(place: int, call: ToolCall) -> Iterator[bytes]:
        start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
        yield frame("event", "contentBlockStart", {"contentBlockIndex": place, "start": start})
        for piece in _pieces(call.arguments, whole=whole):
            yield delta(place, {"toolUse": {"input": piece}})

    middle = [
        *thought(0),
        delta(1, {"reasoningContent": {"redactedContent": hidden}}),
        *(delta(2, {"text": piece}) for piece in _pieces(TEXT, whole=whole)),
        *use(3, CALLS[0]),
        *thought(4),
        *use(5, CALLS[1]),
    ]
    thinking = {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": SIGNATURE}}}
    uses = [{"toolUse": {"toolUseId": one.id, "name": one.name, "input": json.loads(one.arguments)}} for one in CALLS]
    redacted = {"reasoningContent": {"redactedContent": hidden}}
    return middle, [thinking, redacted, {"text": TEXT}, uses[0], thinking, uses[1]]
