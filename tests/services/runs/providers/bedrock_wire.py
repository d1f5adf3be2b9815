"""The wire format of Bedrock: Converse in binary frames."""

import json
import struct
from binascii import crc32
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from services.runs.providers.domain.model import StopReason
from services.runs.runs.domain.conversation import ToolCall
from tests.services.runs.providers.wire import Answer, Frames, halves


def frame(kind: str, name: str, payload: object) -> bytes:
    """Return a frame: lengths, their checksum, headers, payload and the total checksum."""
    headers = b"".join(
        struct.pack("!B", len(key)) + key.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for key, value in (
            (":message-type", kind),
            (f":{kind}-type", name),
            (":content-type", "application/json"),
        )
    )
    body = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    framed = prelude + struct.pack("!I", crc32(prelude)) + headers + body
    return framed + struct.pack("!I", crc32(framed))


class ConverseWire:
    """Bedrock's Converse: binary frames with checksums. The usage comes last and excludes the cache."""

    path = "/model/m/converse-stream"
    content_type = "application/vnd.amazon.eventstream"
    corrupt = frame("event", "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})[:-1] + b"?"
    misshapen = frame("event", "contentBlockDelta", "{")
    fault = frame("exception", "serviceUnavailableException", {"message": "Overloaded."})
    _STOPS: ClassVar = {
        StopReason.ANSWERED: "end_turn",
        StopReason.LENGTH: "max_tokens",
        StopReason.TOOL_CALLS: "tool_use",
        StopReason.REFUSED: "guardrail_intervened",
    }

    def frames(self, answer: Answer) -> Frames:
        """See `Wire.frames`."""
        used = answer.used
        usage = {
            "inputTokens": used.tokens_in - used.cache_read - used.cache_write,
            "outputTokens": used.tokens_out,
            "totalTokens": used.tokens_in + used.tokens_out,
            "cacheReadInputTokens": used.cache_read,
            "cacheWriteInputTokens": used.cache_write,
            "cacheDetails": [
                {"ttl": "5m", "inputTokens": used.cache_write - used.cache_write_1h},
                {"ttl": "1h", "inputTokens": used.cache_write_1h},
            ],
        }
        return Frames(
            opening=(frame("event", "messageStart", {"role": "assistant"}),),
            middle=(
                *(self._delta(0, {"text": text}) for text in answer.texts),
                *self._calls(answer.calls),
            ),
            closing=(
                frame("event", "messageStop", {"stopReason": self._STOPS[answer.stop]}),
                frame("event", "metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
            ),
        )

    def refusal(self, message: str) -> tuple[Mapping[str, str], bytes]:
        """See `Wire.refusal`."""
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": "SomeException"}
        return headers, json.dumps({"message": message}).encode()

    def _calls(self, calls: Iterable[ToolCall]) -> Iterator[bytes]:
        for place, call in enumerate(calls, start=1):
            start = {"toolUse": {"toolUseId": call.id, "name": call.name}}
            yield frame("event", "contentBlockStart", {"contentBlockIndex": place, "start": start})
            for half in halves(call.arguments):
                yield self._delta(place, {"toolUse": {"input": half}})
            yield frame("event", "contentBlockStop", {"contentBlockIndex": place})

    def _delta(self, place: int, delta: Mapping[str, Any]) -> bytes:
        return frame("event", "contentBlockDelta", {"contentBlockIndex": place, "delta": delta})
