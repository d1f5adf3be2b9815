"""Streams over HTTP and their operation."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from services.runs.errors import RunNotFound
from services.runs.functions.stream import handler
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.api import RUN
from services.runs.runs.domain.position import TextPosition
from services.runs.runs.domain.run import Run
from services.runs.streaming.domain import StreamCursor
from services.runs.streaming.operations import stream_events
from shared.http.openapi import document
from shared.http.token import seal
from shared.ids import new_id
from shared.tenancy.permissions import Role
from tests.gateway import claims, request
from tests.services.runs.conftest import World
from tests.services.runs.examples import NOW, TENANT
from tests.services.runs.workers import LATER, ScriptedModel, execute, submit

STREAM = f"{RUN}/stream"
StreamedEvents = list[tuple[str, str, str]]
"""The id, name and data of each event."""


def _ask(run_id: str, cursor: str | None = None, *, tenant_id: str = TENANT, role: Role = Role.OBSERVER) -> Any:  # noqa: ANN401 — the gateway's answer
    path = {"tenant_id": tenant_id, "run_id": run_id}
    headers = {"Last-Event-ID": cursor} if cursor is not None else {}
    return handler(request("GET", STREAM, path_parameters=path, claims=claims(role=role), headers=headers))


def _events(answer: Any) -> StreamedEvents:  # noqa: ANN401 — as above
    head, *blocks = answer["body"].removesuffix("\n\n").split("\n\n")
    assert head == "retry: 300"
    found = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
    return [(event["id"], event["event"], event["data"]) for event in found]


class TestStreamEvents:
    def test_waits_for_new_events(self, world: World) -> None:
        run = submit(world)
        looked: list[str] = []

        def pauses() -> Iterator[None]:
            looked.append("again")
            yield
            execute(world, run)
            yield

        events = stream_events(world.runs, run.run_id, StreamCursor(), pauses=pauses())
        assert [event.name for event in events] == ["run.delta", "run.completed"]
        assert looked == ["again"]

    def test_returns_nothing_when_the_polls_are_over(self, world: World) -> None:
        assert stream_events(world.runs, submit(world).run_id, StreamCursor(), pauses=[None, None]) == []

    def test_returns_a_response_while_it_arrives(self, world: World) -> None:
        run, cursor, received, now = submit(world), StreamCursor(), list[str](), [LATER]

        def read_stream() -> None:
            nonlocal cursor
            for events in stream_events(world.runs, run.run_id, cursor, pauses=[]):
                received.append(str(events.data.get("text", events.name)))
                cursor = events.cursor

        def wait() -> None:
            now[0] += timedelta(milliseconds=500)

        script = [
            TextDelta("a"),
            read_stream,
            wait,
            TextDelta("b"),
            read_stream,
            wait,
            TextDelta("c"),
            read_stream,
            TextDelta("d"),
            read_stream,
            StreamEnd({}),
        ]

        def clock() -> Iterator[Any]:
            while True:
                yield now[0]

        execute(world, run, ScriptedModel([script]), clock=clock())
        read_stream()
        assert received == ["ab", "c", "d", "run.completed"]

    def test_finds_no_run_of_another_tenant(self, world: World) -> None:
        with pytest.raises(RunNotFound):
            stream_events(world.all_runs.of("demo-org2"), submit(world).run_id, StreamCursor(), pauses=[])


class TestStreamRun:
    @pytest.fixture
    def done(self, world: World) -> Run:
        """Return a run that has ended."""
        return execute(world, submit(world, message="Grüß Gott"))

    def test_replays_an_ended_run_and_then_returns_204(self, done: Run) -> None:
        answer = _ask(done.run_id)
        assert answer["statusCode"] == 200
        assert answer["multiValueHeaders"]["Content-Type"] == ["text/event-stream"]
        assert answer["multiValueHeaders"]["Cache-Control"] == ["no-store"]
        (_, delta, text), (last, completed, data) = _events(answer)
        assert (delta, text) == ("run.delta", '{"text":"This is a simulated answer. You said: Grüß Gott"}')
        assert (completed, data) == ("run.completed", f'{{"run_id":"{done.run_id}","status":"completed"}}')
        over = _ask(done.run_id, last)
        assert (over["statusCode"], over["body"]) == (204, "")

    def test_continues_after_the_last_event(self, done: Run) -> None:
        (first, _, _), rest = _events(_ask(done.run_id))
        assert _events(_ask(done.run_id, first)) == [rest]

    def test_splits_a_large_response(self, world: World) -> None:
        text = '"\\' * 700_000
        done = execute(world, submit(world), ScriptedModel([[TextDelta(text), StreamEnd({})]]))
        received, last, sizes = list[str](), None, list[int]()
        while (answer := _ask(done.run_id, last))["statusCode"] == 200:
            events = _events(answer)
            last = events[-1][0]
            sizes.append(len(json.dumps(answer)))
            received += [json.loads(data).get("text", "") for _, _, data in events]
        assert "".join(received) == text
        assert (len(sizes) > 2, max(sizes) < 6_000_000) == (True, True)

    @pytest.mark.parametrize("rubbish", ["7", "é", "W10", "0.1.1.5", "x" * 5_000])
    def test_refuses_an_invalid_event_id(self, done: Run, rubbish: str) -> None:
        assert _ask(done.run_id, rubbish)["statusCode"] == 400

    @pytest.mark.parametrize("position", ["", "0.1.1.-5", "0.1.1.123456789", "later"])
    def test_refuses_a_forged_position(self, done: Run, position: str) -> None:
        assert _ask(done.run_id, seal(position, TENANT, "stream", done.run_id))["statusCode"] == 400

    def test_refuses_the_event_id_of_another_run(self, world: World, done: Run) -> None:
        (first, _, _), _ = _events(_ask(done.run_id))
        assert _ask(execute(world, submit(world)).run_id, first)["statusCode"] == 400

    def test_returns_404_for_a_missing_run(self, world: World) -> None:
        assert world.store
        answer = _ask(new_id("run", NOW))
        assert answer["statusCode"] == 404
        assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]

    def test_refuses_another_tenants_path(self, done: Run) -> None:
        assert _ask(done.run_id, tenant_id="enterprise-test")["statusCode"] == 403


def test_documents_the_stream_in_openapi() -> None:
    payload = document([handler])["paths"][STREAM]["get"]
    assert list(payload["responses"]["200"]["content"]) == ["text/event-stream"]
    assert "content" not in payload["responses"]["204"]
    assert [event["name"] for event in payload["parameters"] if event.get("in") == "header"] == ["last-event-id"]
    assert payload["responses"]["404"] == {"$ref": "#/components/responses/404"}


def test_position_counts_characters() -> None:
    assert TextPosition(1, 1, 2).after("Grüß") == TextPosition(1, 1, 6)
