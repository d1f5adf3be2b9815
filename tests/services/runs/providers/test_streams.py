"""Streams: timeouts and cancellation for all providers, and special cases of some."""

import threading
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from services.runs.errors import StreamTruncated
from services.runs.providers.domain.model import StopReason, StreamEnd, TextDelta
from services.runs.providers.gateway.addresses import Addresses
from services.runs.providers.gateway.clients import Clients, Connection
from services.runs.providers.gateway.models import ProviderModels
from services.runs.providers.gateway.openai_chat import OpenAiChat
from shared.meters import Meter
from tests.services.runs.providers import adapters
from tests.services.runs.providers.adapters import (
    ADAPTERS,
    CHAT,
    KEY,
    MESSAGES,
    RESPONSES,
    Adapter,
    answered,
    framed,
    frames,
    receive,
    request,
)
from tests.services.runs.providers.openai_wire import ChatWire, ResponsesWire
from tests.services.runs.providers.server import Happening, Pause, ProviderServer
from tests.services.runs.providers.wire import Answer, Used, data, event

UNCOUNTED = [*frames(CHAT).opening, *frames(CHAT).middle, frames(CHAT).closing[0], b"data: [DONE]\n\n"]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
class TestEveryStream:
    def test_slow_text_does_not_outlast_the_timeout(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        payload = frames(adapter)
        drips = [piece for text in payload.middle for piece in [Pause(0.1), text] * 10]
        # With a timeout per piece, the response would be complete.
        server.add_replies(framed(adapter, *payload.opening, *drips, *payload.closing))
        received = receive(models, request(adapter, server.url, timeout_s=0.4))
        assert received.failure
        assert (received.failure.code, received.failure.usage_known) == ("ProviderTimeout", False)

    def test_stall_before_the_timeout_does_not_outlast_it(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        payload = frames(adapter)
        server.add_replies(framed(adapter, *payload.opening, Pause(0.3), *payload.middle, Pause(0.8), *payload.closing))
        received = receive(models, request(adapter, server.url, timeout_s=1))
        assert received.failure
        assert (received.failure.code, received.text) == ("ProviderTimeout", "Hello, world")

    def test_closing_ends_the_request_at_once(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        payload = frames(adapter, Answer(texts=("Hello",)))
        server.add_replies(framed(adapter, *payload.opening, *payload.middle, Happening.STALL))
        asked = request(adapter, server.url)
        with closing(models.of("demo-org", asked).stream(asked)) as parts:
            assert TextDelta("Hello") in parts
            hung_up = server.received[-1].hung_up
            assert not hung_up.is_set()
        assert hung_up.wait(0.5)

    def test_terminal_event_ends_the_stream_regardless_of_the_server(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        server.add_replies(framed(adapter, *frames(adapter).all, Happening.STALL))
        received = receive(models, request(adapter, server.url, timeout_s=2))
        assert received.ended
        # Reading beyond the terminal event would end with a timeout.
        assert received.failure is None

    def test_many_streams_run_concurrently(
        self, server: ProviderServer, models: ProviderModels, adapter: Adapter
    ) -> None:
        all_are_there = threading.Barrier(8)
        server.add_replies(*(framed(adapter, all_are_there, *frames(adapter).all) for _ in range(8)))
        ended: list[StreamEnd | None] = []
        threads = [
            threading.Thread(target=lambda: ended.append(receive(models, request(adapter, server.url)).ended))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([one for one in ended if one]) == 8

    def test_unreachable_server_costs_nothing(self, adapter: Adapter) -> None:
        nowhere = "http://127.0.0.1:9"
        with closing(adapters.models(nowhere)) as lonely:
            received = receive(lonely, request(adapter, nowhere))
        assert received.failure
        assert (received.failure.code, received.failure.retry, received.failure.usage_known) == (
            "ConnectionFailed",
            True,
            True,
        )


class TestConnections:
    def test_are_reused(self, server: ProviderServer, models: ProviderModels) -> None:
        asked = request(MESSAGES, server.url)
        server.add_replies(answered(MESSAGES), answered(MESSAGES), answered(MESSAGES))
        assert receive(models, asked).ended
        before = server.connections
        assert receive(models, asked).ended
        assert receive(models, asked).ended
        assert server.connections - before <= 2

    def test_closed_by_the_server_are_not_reused(self, server: ProviderServer, models: ProviderModels) -> None:
        closing_one = replace(answered(RESPONSES), headers={"Content-Type": "text/event-stream", "Connection": "close"})
        server.add_replies(closing_one, answered(RESPONSES))
        assert receive(models, request(RESPONSES, server.url)).ended
        assert receive(models, request(RESPONSES, server.url)).ended


class TestChat:
    def test_missing_usage_leaves_the_bound(self, server: ProviderServer, models: ProviderModels) -> None:
        server.add_replies(framed(CHAT, *UNCOUNTED))
        asked = request(CHAT, server.url)
        received = receive(models, asked)
        assert received.ended
        assert received.ended.meters == {Meter.TOKENS_UNCERTAIN: asked.input_bound_tokens + 100}

    def test_complete_and_counted_response_may_be_truncated(
        self, server: ProviderServer, models: ProviderModels
    ) -> None:
        *payload, done = frames(CHAT).all
        assert b"[DONE]" in done
        server.add_replies(framed(CHAT, *payload, Happening.CUT))
        received = receive(models, request(CHAT, server.url))
        assert received.ended
        assert (received.text, received.ended.meters) == ("Hello, world", {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5})

    def test_implausible_count_is_ignored(self, server: ProviderServer, models: ProviderModels) -> None:
        server.add_replies(framed(CHAT, *UNCOUNTED[:-1], data({"choices": [], "usage": {"prompt_tokens": 10**40}})))
        received = receive(models, request(CHAT, server.url))
        assert received.ended
        assert received.ended.meters[Meter.TOKENS_IN] == 10**12

    def test_openai_always_counts_a_complete_response(self, server: ProviderServer) -> None:
        server.add_replies(framed(CHAT, *UNCOUNTED))
        with closing(Clients(Addresses(allow_private=True))) as clients:
            client = clients.openai(Connection(f"{server.url}/v1", KEY))
            with pytest.raises(StreamTruncated):
                list(OpenAiChat(client, official=True).stream(request(CHAT, server.url)))

    def test_details_may_be_missing(self, server: ProviderServer, models: ProviderModels) -> None:
        usage = data({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
        server.add_replies(framed(CHAT, *UNCOUNTED[:-1], usage))
        received = receive(models, request(CHAT, server.url))
        assert received.ended
        assert received.ended.meters == {Meter.TOKENS_IN: 3, Meter.TOKENS_OUT: 2}

    def test_intermediate_usage_is_reported(self, server: ProviderServer, models: ProviderModels) -> None:
        server.add_replies(framed(CHAT, *frames(CHAT).middle, ChatWire().usage(Used()), Happening.CUT))
        received = receive(models, request(CHAT, server.url))
        assert received.counted == {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}

    def test_content_filter_is_a_refusal(self, server: ProviderServer, models: ProviderModels) -> None:
        finish = data({"choices": [{"index": 0, "delta": {"content": None}, "finish_reason": "content_filter"}]})
        server.add_replies(framed(CHAT, *frames(CHAT).middle, finish, *frames(CHAT).closing[1:]))
        received = receive(models, request(CHAT, server.url))
        assert received.ended
        assert received.ended.stop is StopReason.REFUSED

    def test_tool_calls_count_despite_finish_reason_stop(self, server: ProviderServer, models: ProviderModels) -> None:
        call = {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": "{}"}}
        chunk = data({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]})
        server.add_replies(framed(CHAT, chunk, *frames(CHAT).closing))
        received = receive(models, request(CHAT, server.url))
        assert received.ended
        assert (received.ended.stop, [call.name for call in received.ended.tool_calls]) == (
            StopReason.TOOL_CALLS,
            ["weather"],
        )


class TestResponses:
    @pytest.mark.parametrize(
        ("code", "means", "retry"),
        [
            ("server_error", "ProviderUnavailable", True),
            ("rate_limit_exceeded", "ProviderRateLimited", True),
            ("invalid_prompt", "ProviderRejected", False),
        ],
    )
    def test_failure_with_usage_is_certain(
        self,
        server: ProviderServer,
        models: ProviderModels,
        code: str,
        means: str,
        retry: bool,  # noqa: FBT001 — a parameter of pytest's
    ) -> None:
        failed = ResponsesWire().response(
            "failed", "failed", answer=Answer(), error={"code": code, "message": "Sorry."}
        )
        server.add_replies(framed(RESPONSES, *frames(RESPONSES).opening, failed))
        received = receive(models, request(RESPONSES, server.url))
        assert received.failure
        assert (received.failure.code, received.failure.retry, received.failure.usage_known) == (means, retry, True)
        assert received.counted == {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}

    def test_failure_without_usage_is_uncertain(self, server: ProviderServer, models: ProviderModels) -> None:
        failed = ResponsesWire().response("failed", "failed", error={"code": "server_error", "message": "Sorry."})
        server.add_replies(framed(RESPONSES, failed))
        received = receive(models, request(RESPONSES, server.url))
        assert received.failure
        assert (str(received.failure), received.failure.usage_known) == ("Sorry.", False)

    @pytest.mark.parametrize("texts", [("Hello, world",), ("Hello", ", world")])
    def test_answer_that_comes_only_as_a_whole_is_read(
        self, server: ProviderServer, models: ProviderModels, texts: tuple[str, ...]
    ) -> None:
        content: list[Any] = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        whole = ResponsesWire().response("completed", "completed", answer=Answer(), output=[message])
        server.add_replies(framed(RESPONSES, whole))
        received = receive(models, request(RESPONSES, server.url))
        assert received.ended
        assert (received.text, received.ended.tool_calls) == ("Hello, world", ())

    def test_calls_that_come_only_as_a_whole_are_read(self, server: ProviderServer, models: ProviderModels) -> None:
        call = {"type": "function_call", "id": "fc", "call_id": "a", "name": "weather", "arguments": "{}"}
        whole = ResponsesWire().response("completed", "completed", answer=Answer(), output=[call])
        server.add_replies(framed(RESPONSES, whole))
        received = receive(models, request(RESPONSES, server.url))
        assert received.ended
        assert [one.id for one in received.ended.tool_calls] == ["a"]


class TestMessages:
    def test_truncated_response_has_the_last_usage(self, server: ProviderServer, models: ProviderModels) -> None:
        server.add_replies(framed(MESSAGES, *frames(MESSAGES).all[:-1]))
        received = receive(models, request(MESSAGES, server.url))
        assert isinstance(received.failure, StreamTruncated)
        assert received.counted == {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}
        assert received.failure.usage_known

    def test_truncation_after_the_last_usage_leaves_nothing_uncertain(
        self, server: ProviderServer, models: ProviderModels
    ) -> None:
        server.add_replies(framed(MESSAGES, *frames(MESSAGES).all[:-1], Happening.CUT))
        received = receive(models, request(MESSAGES, server.url))
        assert received.failure
        assert (received.failure.code, received.failure.usage_known) == ("ConnectionFailed", True)

    def test_missing_usage_leaves_the_bound(self, server: ProviderServer, models: ProviderModels) -> None:
        *payload, _, stop = frames(MESSAGES).all
        uncounted = event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
        server.add_replies(framed(MESSAGES, *payload, uncounted, stop))
        asked = request(MESSAGES, server.url)
        received = receive(models, asked)
        assert received.ended
        assert received.ended.meters == {Meter.TOKENS_UNCERTAIN: asked.bound_tokens}

    def test_thinking_is_not_part_of_the_text(self, server: ProviderServer, models: ProviderModels) -> None:
        start, *rest = frames(MESSAGES).all
        block = {"type": "thinking", "thinking": "", "signature": ""}
        thought = (
            event({"type": "content_block_start", "index": 9, "content_block": block}),
            event({"type": "content_block_delta", "index": 9, "delta": {"type": "thinking_delta", "thinking": "Hm."}}),
            event({"type": "content_block_stop", "index": 9}),
        )
        server.add_replies(framed(MESSAGES, start, *thought, *rest))
        assert receive(models, request(MESSAGES, server.url)).text == "Hello, world"
