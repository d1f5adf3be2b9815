"""Opaque state of an answer: it is returned unchanged to the same model, and to no other."""

import json
from base64 import b64encode
from dataclasses import replace

import pytest

from services.runs.history.domain.log import entries
from services.runs.history.domain.trace import spans
from services.runs.providers.gateway.models import ProviderModels
from services.runs.runs.domain.conversation import Message
from services.runs.runs.domain.run import Run, Status
from services.runs.runs.schemas import Run as RunSchema
from services.runs.streaming.domain import StreamCursor, events_after
from tests.services.runs.providers.adapters import (
    ADAPTERS,
    RESPONSES,
    answered,
    receive,
    request,
)
from tests.services.runs.providers.reasoning import HIDDEN, SIGNATURE, TEXT, THOUGHT, reasoned, returned_in
from tests.services.runs.providers.server import ProviderServer
from tests.services.runs.providers.stage import AGAIN, ONCE, Stage, error_of, left_after
from tests.services.runs.providers.test_calls import CALLS, COMPLETE

EACH = pytest.mark.parametrize("stage", ADAPTERS, ids=str, indirect=True)
WHOLE = pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
LARGE = b64encode(b"x" * 60_000).decode()
WEATHER = {"name": "weather", "parameters": {"type": "object"}}


def shown(run: Run) -> str:
    """Return everything that a client can see of a run."""
    events = [event.data for event in events_after(run, StreamCursor())]
    logs = [dict(entry.details) for entry in entries(run)]
    traced = [dict(span.attributes) for span in spans(run)]
    return RunSchema.of(run).model_dump_json() + json.dumps([events, logs, traced])


@EACH
@pytest.mark.report(2, 3, 4)
class TestState:
    @WHOLE
    def test_is_returned_unchanged_and_in_order(self, stage: Stage, *, whole: bool) -> None:
        answer = reasoned(stage.adapter, whole=whole)
        stage.server.add_replies(answer.reply, answered(stage.adapter))
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert (run.status, run.tool_calls, run.turns[0].content) == (Status.REQUIRES_ACTION, CALLS, TEXT)
        done = stage.continue_with(run)
        assert (done.status, done.output) == (Status.COMPLETED, {"message": "Hello, world"})
        assert returned_in(stage.adapter, stage.server.received[-1].body) == answer.returned
        assert [call.meters for call in done.calls] == [{**COMPLETE, **ONCE}, {**COMPLETE, **AGAIN}]
        assert stage.left() == left_after(COMPLETE, COMPLETE)

    def test_is_not_shown(self, stage: Stage) -> None:
        stage.server.add_replies(reasoned(stage.adapter, whole=True).reply)
        run = stage.execute(stage.submit(tools=[WEATHER]))
        assert run.turns[0].state
        assert TEXT in shown(run)
        for secret in (SIGNATURE, HIDDEN, json.dumps(THOUGHT)[1:-1], "grey"):
            assert secret not in shown(run)

    def test_is_kept_in_every_turn(self, stage: Stage) -> None:
        answer = reasoned(stage.adapter, whole=True)
        stage.server.add_replies(answer.reply, answer.reply, answered(stage.adapter))
        run = stage.continue_with(stage.execute(stage.submit(tools=[WEATHER])))
        assert stage.continue_with(run).status is Status.COMPLETED
        mark = HIDDEN if stage.adapter is RESPONSES else SIGNATURE
        [once, twice] = [json.dumps(sent.body).count(mark) for sent in stage.server.received[-2:]]
        assert (once, twice) == (json.dumps(answer.returned).count(mark), 2 * once)

    def test_belongs_to_the_model_that_answered(self, stage: Stage) -> None:
        stage.server.add_replies(reasoned(stage.adapter, whole=True).reply)
        run = stage.execute(stage.submit(tools=[WEATHER]))
        state = run.turns[0].state
        assert state
        assert (state.provider, state.model, state.api) == (stage.adapter.provider, "m", stage.adapter.api)

    @pytest.mark.parametrize("other", [{"provider": "other"}, {"model": "other"}, {"api": "other"}], ids=str)
    def test_is_not_sent_to_another_model(self, stage: Stage, other: dict[str, str]) -> None:
        stage.server.add_replies(reasoned(stage.adapter, whole=True).reply, answered(stage.adapter))
        turn = stage.execute(stage.submit(tools=[WEATHER])).turns[0]
        assert turn.state
        messages = (Message("user", "Hi"), replace(turn, state=replace(turn.state, **other)))
        assert receive(stage.models, request(stage.adapter, stage.server.url, messages=messages)).ended
        body = json.dumps(stage.server.received[-1].body)
        assert (SIGNATURE in body, HIDDEN in body, CALLS[0].id in body) == (False, False, True)

    def test_that_is_large_is_stored_in_the_bucket(self, stage: Stage) -> None:
        large = reasoned(stage.adapter, whole=True, hidden=LARGE)
        stage.server.add_replies(large.reply)
        run = stage.execute(stage.submit(tools=[WEATHER], max_output_tokens=10_000))
        assert run.artifacts.keys() == {"turns-1"}
        assert run.artifacts["turns-1"] > 70_000

    def test_without_end_fails_the_call(self, stage: Stage) -> None:
        large = reasoned(stage.adapter, whole=True, hidden=LARGE)
        stage.server.add_replies(large.reply)
        failed = stage.execute(stage.submit(tools=[WEATHER], max_output_tokens=100))
        assert (failed.status, error_of(failed)) == (Status.FAILED, "AnswerTooLarge")
        assert stage.left() == left_after(COMPLETE)


class TestEncryptedReasoning:
    @pytest.mark.parametrize(
        ("model", "asked"),
        [
            ("gpt-5.1", True),
            ("o4-mini", True),
            ("codex-mini-latest", True),
            ("gpt-7", True),
            ("gpt-4o", False),
            ("gpt-5-chat-latest", False),
            ("gpt-4.1", False),
            ("llama-4", False),
        ],
    )
    def test_is_asked_of_models_that_have_it(
        self, server: ProviderServer, models: ProviderModels, model: str, *, asked: bool
    ) -> None:
        server.add_replies(answered(RESPONSES))
        assert receive(models, request(RESPONSES, server.url, model=model)).ended
        include = server.received[-1].body.get("include")
        assert include == (["reasoning.encrypted_content"] if asked else None)
