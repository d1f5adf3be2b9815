"""The wire format of Anthropic: Messages."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from services.runs.providers.domain.model import StopReason
from services.runs.runs.domain.conversation import ToolCall
from tests.services.runs.providers.wire import Answer, Frames, event, halves


class MessagesWire:
    """Anthropic's Messages API, whose input count excludes the cache."""

    path = "/v1/messages"
    content_type = "text/event-stream"
    corrupt = b'event: content_block_delta\ndata: {"type": "content_bl\n\n'
    misshapen = event({"type": "content_block_delta", "index": 0, "delta": None})
    fault = event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded."}})
    _STOPS: ClassVar = {
        StopReason.ANSWERED: "end_turn",
        StopReason.LENGTH: "max_tokens",
        StopReason.TOOL_CALLS: "tool_use",
        StopReason.REFUSED: "refusal",
    }

    def frames(self, answer: Answer) -> Frames:
        """See `Wire.frames`."""
        used = answer.used
        message: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": used.tokens_in - used.cache_read - used.cache_write,
                "cache_read_input_tokens": used.cache_read,
                "cache_creation_input_tokens": used.cache_write,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": used.cache_write - used.cache_write_1h,
                    "ephemeral_1h_input_tokens": used.cache_write_1h,
                },
                "output_tokens": 1,
            },
        }
        ended = {"output_tokens": used.tokens_out, "output_tokens_details": {"thinking_tokens": used.reasoning}}
        stopped = {"stop_reason": self._STOPS[answer.stop], "stop_sequence": None}
        return Frames(
            opening=(event({"type": "message_start", "message": message}), event({"type": "ping"})),
            middle=(*self._text(answer.texts), *self._calls(answer.calls)),
            closing=(
                event({"type": "message_delta", "delta": stopped, "usage": ended}),
                event({"type": "message_stop"}),
            ),
        )

    def refusal(self, message: str) -> tuple[Mapping[str, str], bytes]:
        """See `Wire.refusal`."""
        body = {"type": "error", "error": {"type": "some_error", "message": message}, "request_id": "req_1"}
        return {"Content-Type": "application/json"}, json.dumps(body).encode()

    def _text(self, texts: Iterable[str]) -> Iterator[bytes]:
        yield event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        for text in texts:
            yield self._delta(0, {"type": "text_delta", "text": text})
        yield event({"type": "content_block_stop", "index": 0})

    def _calls(self, calls: Iterable[ToolCall]) -> Iterator[bytes]:
        for place, call in enumerate(calls, start=1):
            block: dict[str, Any] = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            yield event({"type": "content_block_start", "index": place, "content_block": block})
            for half in halves(call.arguments):
                yield self._delta(place, {"type": "input_json_delta", "partial_json": half})
            yield event({"type": "content_block_stop", "index": place})

    def _delta(self, place: int, delta: Mapping[str, Any]) -> bytes:
        return event({"type": "content_block_delta", "index": place, "delta": delta})
