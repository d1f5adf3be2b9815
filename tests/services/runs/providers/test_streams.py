"""Streams in cases that only some providers have, and what holds for all: the end in time, and hanging up."""

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from services.runs.errors import StreamTruncated
from services.runs.gateways.addresses import Addresses
from services.runs.gateways.clients import Clients, Connection
from services.runs.gateways.model import Ended, Stop, Text
from services.runs.gateways.models import ProviderModels
from services.runs.gateways.openai_chat import OpenAiChat
from shared.meters import Meter
from tests.services.runs.providers import speakers
from tests.services.runs.providers.openai_wire import ChatWire, ResponsesWire
from tests.services.runs.providers.server import Happening, Pause, ProviderServer
from tests.services.runs.providers.speakers import (
    CHAT,
    KEY,
    MESSAGES,
    RESPONSES,
    SPEAKERS,
    Speaker,
    answered,
    framed,
    frames,
    hear,
    request,
)
from tests.services.runs.providers.wire import Answer, Used, data, event

UNCOUNTED = [*frames(CHAT).opening, *frames(CHAT).middle, frames(CHAT).closing[0], b"data: [DONE]\n\n"]


@pytest.mark.parametrize("speaker", SPEAKERS, ids=str)
class TestEveryStream:
    def test_a_drip_of_text_does_not_outlast_the_timeout(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        said = frames(speaker)
        drips = [piece for text in said.middle for piece in [Pause(0.1), text] * 10]
        # Who gives each piece the whole time hears a whole answer.
        server.say(framed(speaker, *said.opening, *drips, *said.closing))
        heard = hear(models, request(speaker, server.url, timeout_s=0.4))
        assert heard.failure
        assert (heard.failure.code, heard.failure.usage_known) == ("ProviderTimeout", False)

    def test_a_stall_shortly_before_the_timeout_does_not_outlast_it(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        said = frames(speaker)
        server.say(framed(speaker, *said.opening, Pause(0.3), *said.middle, Pause(0.8), *said.closing))
        heard = hear(models, request(speaker, server.url, timeout_s=1))
        assert heard.failure
        assert (heard.failure.code, heard.text) == ("ProviderTimeout", "Hello, world")

    def test_half_of_a_character_is_corrupt(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        if speaker.provider == "bedrock":
            pytest.skip("its frames are UTF-8")
        half = b"".join(frames(speaker, Answer(texts=("@@",))).middle).replace(b"@@", rb"\ud83d")
        server.say(framed(speaker, *frames(speaker).opening, half))
        heard = hear(models, request(speaker, server.url))
        assert heard.failure
        assert (heard.failure.code, heard.text) == ("StreamCorrupt", "")

    def test_closing_it_ends_the_request_at_once(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        said = frames(speaker, Answer(texts=("Hello",)))
        server.say(framed(speaker, *said.opening, *said.middle, Happening.STALL))
        asked = request(speaker, server.url)
        with closing(models.of("demo-org", asked).stream(asked)) as parts:
            assert Text("Hello") in parts
            hung_up = server.received[-1].hung_up
            assert not hung_up.is_set()
        assert hung_up.wait(0.5)

    def test_the_terminal_event_is_the_end_whatever_the_server_does(
        self, server: ProviderServer, models: ProviderModels, speaker: Speaker
    ) -> None:
        server.say(framed(speaker, *frames(speaker).all, Happening.STALL))
        heard = hear(models, request(speaker, server.url, timeout_s=2))
        assert heard.ended
        # Who goes on reading ends with a timeout.
        assert heard.failure is None

    def test_many_run_at_the_same_time(self, server: ProviderServer, models: ProviderModels, speaker: Speaker) -> None:
        all_are_there = threading.Barrier(8)
        server.say(*(framed(speaker, all_are_there, *frames(speaker).all) for _ in range(8)))
        ended: list[Ended | None] = []
        threads = [
            threading.Thread(target=lambda: ended.append(hear(models, request(speaker, server.url)).ended))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([one for one in ended if one]) == 8

    def test_nobody_there_costs_nothing(self, speaker: Speaker) -> None:
        nowhere = "http://127.0.0.1:9"
        with closing(speakers.models(nowhere)) as lonely:
            heard = hear(lonely, request(speaker, nowhere))
        assert heard.failure
        assert (heard.failure.code, heard.failure.retry, heard.failure.usage_known) == ("ConnectionFailed", True, True)


class TestConnections:
    def test_are_used_again(self, server: ProviderServer, models: ProviderModels) -> None:
        asked = request(MESSAGES, server.url)
        server.say(answered(MESSAGES), answered(MESSAGES), answered(MESSAGES))
        assert hear(models, asked).ended
        before = server.connections
        assert hear(models, asked).ended
        assert hear(models, asked).ended
        assert server.connections - before <= 2

    def test_one_that_the_server_has_closed_is_not(self, server: ProviderServer, models: ProviderModels) -> None:
        closing_one = replace(answered(RESPONSES), headers={"Content-Type": "text/event-stream", "Connection": "close"})
        server.say(closing_one, answered(RESPONSES))
        assert hear(models, request(RESPONSES, server.url)).ended
        assert hear(models, request(RESPONSES, server.url)).ended


class TestChat:
    def test_a_server_that_cannot_count_leaves_the_bound(self, server: ProviderServer, models: ProviderModels) -> None:
        server.say(framed(CHAT, *UNCOUNTED))
        asked = request(CHAT, server.url)
        heard = hear(models, asked)
        assert heard.ended
        assert heard.ended.meters == {Meter.TOKENS_UNCERTAIN: asked.input_bound_tokens + 100}

    def test_an_answer_that_is_whole_and_counted_may_be_cut(
        self, server: ProviderServer, models: ProviderModels
    ) -> None:
        *said, done = frames(CHAT).all
        assert b"[DONE]" in done
        server.say(framed(CHAT, *said, Happening.CUT))
        heard = hear(models, request(CHAT, server.url))
        assert heard.ended
        assert (heard.text, heard.ended.meters) == ("Hello, world", {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5})

    def test_a_count_without_end_is_not_believed(self, server: ProviderServer, models: ProviderModels) -> None:
        server.say(framed(CHAT, *UNCOUNTED[:-1], data({"choices": [], "usage": {"prompt_tokens": 10**40}})))
        heard = hear(models, request(CHAT, server.url))
        assert heard.ended
        assert heard.ended.meters[Meter.TOKENS_IN] == 10**12

    def test_openai_itself_always_counts_what_is_whole(self, server: ProviderServer) -> None:
        server.say(framed(CHAT, *UNCOUNTED))
        with closing(Clients(Addresses(allow_private=True))) as clients:
            client = clients.openai(Connection(f"{server.url}/v1", KEY))
            with pytest.raises(StreamTruncated):
                list(OpenAiChat(client, official=True).stream(request(CHAT, server.url)))

    def test_details_may_be_missing(self, server: ProviderServer, models: ProviderModels) -> None:
        usage = data({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
        server.say(framed(CHAT, *UNCOUNTED[:-1], usage))
        heard = hear(models, request(CHAT, server.url))
        assert heard.ended
        assert heard.ended.meters == {Meter.TOKENS_IN: 3, Meter.TOKENS_OUT: 2}

    def test_a_count_on_the_way_is_told(self, server: ProviderServer, models: ProviderModels) -> None:
        server.say(framed(CHAT, *frames(CHAT).middle, ChatWire().usage(Used()), Happening.CUT))
        heard = hear(models, request(CHAT, server.url))
        assert heard.counted == {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}

    def test_a_filter_is_a_refusal(self, server: ProviderServer, models: ProviderModels) -> None:
        finish = data({"choices": [{"index": 0, "delta": {"content": None}, "finish_reason": "content_filter"}]})
        server.say(framed(CHAT, *frames(CHAT).middle, finish, *frames(CHAT).closing[1:]))
        heard = hear(models, request(CHAT, server.url))
        assert heard.ended
        assert heard.ended.stop is Stop.REFUSED

    def test_calls_are_calls_even_when_the_server_says_stop(
        self, server: ProviderServer, models: ProviderModels
    ) -> None:
        call = {"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": "{}"}}
        chunk = data({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]})
        server.say(framed(CHAT, chunk, *frames(CHAT).closing))
        heard = hear(models, request(CHAT, server.url))
        assert heard.ended
        assert (heard.ended.stop, [call.name for call in heard.ended.tool_calls]) == (Stop.TOOL_CALLS, ["weather"])


class TestResponses:
    @pytest.mark.parametrize(
        ("code", "means", "retry"),
        [
            ("server_error", "ProviderUnavailable", True),
            ("rate_limit_exceeded", "ProviderRateLimited", True),
            ("invalid_prompt", "ProviderRejected", False),
        ],
    )
    def test_a_failure_that_was_counted_is_known(
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
        server.say(framed(RESPONSES, *frames(RESPONSES).opening, failed))
        heard = hear(models, request(RESPONSES, server.url))
        assert heard.failure
        assert (heard.failure.code, heard.failure.retry, heard.failure.usage_known) == (means, retry, True)
        assert heard.counted == {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}

    def test_a_failure_without_a_count_is_not(self, server: ProviderServer, models: ProviderModels) -> None:
        failed = ResponsesWire().response("failed", "failed", error={"code": "server_error", "message": "Sorry."})
        server.say(framed(RESPONSES, failed))
        heard = hear(models, request(RESPONSES, server.url))
        assert heard.failure
        assert (str(heard.failure), heard.failure.usage_known) == ("Sorry.", False)


class TestMessages:
    def test_a_truncated_answer_has_counted_what_was_said_last(
        self, server: ProviderServer, models: ProviderModels
    ) -> None:
        server.say(framed(MESSAGES, *frames(MESSAGES).all[:-1]))
        heard = hear(models, request(MESSAGES, server.url))
        assert isinstance(heard.failure, StreamTruncated)
        assert heard.counted == {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}
        assert heard.failure.usage_known

    def test_a_cut_after_the_last_count_leaves_nothing_uncertain(
        self, server: ProviderServer, models: ProviderModels
    ) -> None:
        server.say(framed(MESSAGES, *frames(MESSAGES).all[:-1], Happening.CUT))
        heard = hear(models, request(MESSAGES, server.url))
        assert heard.failure
        assert (heard.failure.code, heard.failure.usage_known) == ("ConnectionFailed", True)

    def test_a_server_that_cannot_count_leaves_the_bound(self, server: ProviderServer, models: ProviderModels) -> None:
        *said, _, stop = frames(MESSAGES).all
        uncounted = event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
        server.say(framed(MESSAGES, *said, uncounted, stop))
        asked = request(MESSAGES, server.url)
        heard = hear(models, asked)
        assert heard.ended
        assert heard.ended.meters == {Meter.TOKENS_UNCERTAIN: asked.bound_tokens}

    def test_thinking_is_not_said(self, server: ProviderServer, models: ProviderModels) -> None:
        start, *rest = frames(MESSAGES).all
        block = {"type": "thinking", "thinking": "", "signature": ""}
        thought = (
            event({"type": "content_block_start", "index": 9, "content_block": block}),
            event({"type": "content_block_delta", "index": 9, "delta": {"type": "thinking_delta", "thinking": "Hm."}}),
            event({"type": "content_block_stop", "index": 9}),
        )
        server.say(framed(MESSAGES, start, *thought, *rest))
        assert hear(models, request(MESSAGES, server.url)).text == "Hello, world"
