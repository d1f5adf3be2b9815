"""Usage wherever a server reports it: it is counted once, with the last cumulative value."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from services.runs.runs.domain.run import Status
from shared.meters import Meter
from tests.services.runs.providers.adapters import CHAT, CONVERSE, MESSAGES, RESPONSES, Adapter, framed, frames
from tests.services.runs.providers.bedrock_wire import frame
from tests.services.runs.providers.openai_wire import ChatWire, ResponsesWire
from tests.services.runs.providers.stage import ONCE, Stage, left_after
from tests.services.runs.providers.test_calls import COMPLETE
from tests.services.runs.providers.wire import Answer, Used, data, event

START, MIDDLE, ALL = Used(tokens_out=1), Used(tokens_out=3), Used()
ZERO = Used(tokens_in=0, tokens_out=0)


def chat_usage(used: Used, **choice: Any) -> bytes:  # noqa: ANN401 — any field of a choice
    """Return a chunk with usage, and with a choice if its fields are given."""
    counts = {"prompt_tokens": used.tokens_in, "completion_tokens": used.tokens_out}
    choices: list[Any] = [{"index": 0, "delta": {}, "finish_reason": None, **choice}] if choice else []
    return data({"choices": choices, "usage": counts})


def text(content: str) -> Any:  # noqa: ANN401 — a field of a choice
    """Return the delta with this text."""
    return {"content": content}


STOP: Any = {"delta": {}, "finish_reason": "stop"}
CHUNKS: dict[str, Sequence[bytes]] = {
    "in the last chunk": [*frames(CHAT).middle, chat_usage(ALL, **STOP)],
    "after the last chunk": [*frames(CHAT).middle, frames(CHAT).closing[0], chat_usage(ALL)],
    "only in the first chunk": [ChatWire().usage(ALL), *frames(CHAT).middle, frames(CHAT).closing[0]],
    "in every chunk": [
        chat_usage(START, delta=text("Hello")),
        chat_usage(MIDDLE, delta=text(", ")),
        chat_usage(ALL, delta=text("world")),
        chat_usage(ALL, **STOP),
        chat_usage(ALL),
    ],
    "without choices in the middle": [
        *frames(CHAT).middle[:1],
        chat_usage(MIDDLE),
        *frames(CHAT).middle[1:],
        frames(CHAT).closing[0],
        chat_usage(ALL),
    ],
    "twice at the end": [*frames(CHAT).middle, chat_usage(ALL, **STOP), chat_usage(ALL), chat_usage(ALL)],
    "zero at the end": [*frames(CHAT).middle, chat_usage(ALL, **STOP), chat_usage(ZERO)],
    "empty or null elsewhere": [
        data({"choices": [], "usage": {}}),
        data({"choices": [], "usage": None}),
        *frames(CHAT).middle,
        chat_usage(ALL, **STOP),
        data({"choices": [], "usage": {}}),
    ],
}


def message_delta(used: Used, reason: str | None) -> bytes:
    """Return an event with cumulative usage."""
    stopped = {"stop_reason": reason, "stop_sequence": None}
    return event({"type": "message_delta", "delta": stopped, "usage": {"output_tokens": used.tokens_out}})


EVENTS: dict[str, Sequence[bytes]] = {
    "at the end": frames(MESSAGES).all,
    "in several events": [
        *frames(MESSAGES).opening,
        *frames(MESSAGES).middle,
        message_delta(START, None),
        message_delta(MIDDLE, None),
        message_delta(ALL, "end_turn"),
        frames(MESSAGES).closing[-1],
    ],
    "twice at the end": [
        *frames(MESSAGES).opening,
        *frames(MESSAGES).middle,
        message_delta(ALL, "end_turn"),
        message_delta(ALL, "end_turn"),
        frames(MESSAGES).closing[-1],
    ],
}
RESPONSE_EVENTS: dict[str, Sequence[bytes]] = {
    "at the end": frames(RESPONSES).all,
    "from the beginning": [
        ResponsesWire().response("created", "in_progress", answer=Answer(used=START)),
        *frames(RESPONSES).middle,
        ResponsesWire().response("in_progress", "in_progress", answer=Answer(used=MIDDLE)),
        *frames(RESPONSES).closing,
    ],
    "only before the end": [
        *frames(RESPONSES).middle,
        ResponsesWire().response("in_progress", "in_progress", answer=Answer()),
        ResponsesWire().response("completed", "completed"),
    ],
}


def metadata(used: Used) -> bytes:
    """Return an event with usage."""
    usage = {"inputTokens": used.tokens_in, "outputTokens": used.tokens_out, "totalTokens": 0}
    return frame("event", "metadata", {"usage": usage, "metrics": {"latencyMs": 1}})


CONVERSE_EVENTS: dict[str, Sequence[bytes]] = {
    "at the end": frames(CONVERSE).all,
    "before the end": [metadata(ALL), *frames(CONVERSE).middle, frames(CONVERSE).closing[0]],
    "in the middle and at the end": [metadata(MIDDLE), *frames(CONVERSE).all],
}
CELLS = [
    pytest.param(adapter, pieces, id=f"{adapter}: {name}")
    for adapter, cells in (
        (CHAT, CHUNKS),
        (MESSAGES, EVENTS),
        (RESPONSES, RESPONSE_EVENTS),
        (CONVERSE, CONVERSE_EVENTS),
    )
    for name, pieces in cells.items()
]


@pytest.mark.report(14)
class TestUsage:
    @pytest.mark.parametrize(("adapter", "pieces"), CELLS)
    def test_is_counted_once(
        self, any_stage: Callable[[Adapter], Stage], adapter: Adapter, pieces: Sequence[bytes]
    ) -> None:
        stage = any_stage(adapter)
        done_marker = [b"data: [DONE]\n\n"] if adapter is CHAT else []
        stage.server.add_replies(framed(adapter, *pieces, *done_marker))
        done = stage.execute(stage.submit())
        assert (done.status, done.output) == (Status.COMPLETED, {"message": "Hello, world"})
        assert [call.meters for call in done.calls] == [{**COMPLETE, **ONCE}]
        assert stage.left() == left_after(COMPLETE)

    def test_of_a_response_that_is_never_counted_is_uncertain(self, any_stage: Callable[[Adapter], Stage]) -> None:
        stage = any_stage(RESPONSES)
        uncounted = ResponsesWire().response("completed", "completed")
        stage.server.add_replies(framed(RESPONSES, *frames(RESPONSES).middle, uncounted))
        run = stage.submit()
        done = stage.execute(run)
        assert run.open_call
        assert done.status is Status.COMPLETED
        assert done.calls[0].spent_tokens == run.open_call.bound_tokens
        assert done.calls[0].meters[Meter.TOKENS_UNCERTAIN] > 0
