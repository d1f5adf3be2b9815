"""The wire formats of OpenAI: Chat Completions and Responses."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from services.runs.providers.domain.model import StopReason
from services.runs.runs.domain.conversation import ToolCall
from tests.services.runs.providers.wire import Answer, Frames, Used, data, event, halves


class ChatWire:
    """OpenAI's Chat Completions."""

    path = "/v1/chat/completions"
    content_type = "text/event-stream"
    corrupt = b'data: {"choices": [{"delta"\n\n'
    misshapen = data({"choices": 5})
    fault = data({"error": {"type": "server_error", "message": "Overloaded."}})
    _FINISHES: ClassVar = {
        StopReason.ANSWERED: "stop",
        StopReason.LENGTH: "length",
        StopReason.TOOL_CALLS: "tool_calls",
        StopReason.REFUSED: "stop",
    }

    def frames(self, answer: Answer) -> Frames:
        """See `Wire.frames`."""
        payload = "refusal" if answer.stop is StopReason.REFUSED else "content"
        return Frames(
            opening=(self._delta({"role": "assistant", "content": ""}),),
            middle=(*(self._delta({payload: text}) for text in answer.texts), *self._calls(answer.calls)),
            closing=(
                self._delta({}, finish=self._FINISHES[answer.stop]),
                self.usage(answer.used),
                b"data: [DONE]\n\n",
            ),
        )

    def usage(self, used: Used) -> bytes:
        """Return the last chunk, which has no choices."""
        usage = {
            "prompt_tokens": used.tokens_in,
            "completion_tokens": used.tokens_out,
            "total_tokens": used.tokens_in + used.tokens_out,
            "prompt_tokens_details": {"cached_tokens": used.cache_read, "cache_write_tokens": used.cache_write},
            "completion_tokens_details": {"reasoning_tokens": used.reasoning},
        }
        return self._chunk({"choices": [], "usage": usage})

    def refusal(self, message: str) -> tuple[Mapping[str, str], bytes]:
        """See `Wire.refusal`."""
        error = {"message": message, "type": "some_error", "param": None, "code": None}
        return {"Content-Type": "application/json"}, json.dumps({"error": error}).encode()

    def _calls(self, calls: Iterable[ToolCall]) -> Iterator[bytes]:
        for place, call in enumerate(calls):
            begun = {
                "index": place,
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }
            yield self._delta({"tool_calls": [begun]})
            for half in halves(call.arguments):
                yield self._delta({"tool_calls": [{"index": place, "function": {"arguments": half}}]})

    def _delta(self, delta: Mapping[str, Any], *, finish: str | None = None) -> bytes:
        return self._chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def _chunk(self, fields: Mapping[str, Any]) -> bytes:
        return data({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", **fields})


class ResponsesWire(ChatWire):
    """OpenAI's Responses API, whose errors are those of Chat Completions."""

    path = "/v1/responses"
    corrupt = b'event: response.output_text.delta\ndata: {"type": "resp\n\n'
    misshapen = data(["response.completed"])
    fault = event({"type": "error", "code": "server_error", "message": "Overloaded.", "param": None})

    def frames(self, answer: Answer) -> Frames:
        """See `Wire.frames`."""
        payload = "refusal" if answer.stop is StopReason.REFUSED else "output_text"
        calls = [self._call(call) for call in answer.calls]
        texts = (
            event(
                {
                    "type": f"response.{payload}.delta",
                    "item_id": "msg_1",
                    "output_index": 0,
                    "content_index": 0,
                    "delta": text,
                    "sequence_number": 1,
                    "logprobs": [],
                }
            )
            for text in answer.texts
        )
        done = (
            event({"type": "response.output_item.done", "output_index": 1, "item": call, "sequence_number": 2})
            for call in calls
        )
        status = "incomplete" if answer.stop is StopReason.LENGTH else "completed"
        return Frames(
            opening=(self.response("created", "in_progress"),),
            middle=(*texts, *done),
            closing=(self.response(status, status, answer=answer, output=calls),),
        )

    def response(
        self,
        kind: str,
        status: str,
        *,
        answer: Answer | None = None,
        output: Iterable[Any] = (),
        error: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return an event with the response so far."""
        response = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": "m",
            "status": status,
            "output": list(output),
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "error": error,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "usage": self._usage(answer.used) if answer else None,
        }
        return event({"type": f"response.{kind}", "sequence_number": 3, "response": response})

    def _call(self, call: ToolCall) -> Mapping[str, Any]:
        return {
            "type": "function_call",
            "id": f"fc_{call.id}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }

    def _usage(self, used: Used) -> Mapping[str, Any]:
        return {
            "input_tokens": used.tokens_in,
            "input_tokens_details": {"cached_tokens": used.cache_read, "cache_write_tokens": used.cache_write},
            "output_tokens": used.tokens_out,
            "output_tokens_details": {"reasoning_tokens": used.reasoning},
            "total_tokens": used.tokens_in + used.tokens_out,
        }
