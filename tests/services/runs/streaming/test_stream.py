"""Following a run."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from services.runs.api.runs import RUN
from services.runs.api.stream import handler
from services.runs.domain.run import Run
from services.runs.domain.story import Cursor, Place
from services.runs.errors import RunNotFound
from services.runs.gateways.model import Ended, Text
from services.runs.operations.following import follow
from shared.http.openapi import document
from shared.http.token import seal
from shared.ids import new_id
from shared.tenancy.permissions import Role
from tests.gateway import claims, request
from tests.services.runs.conftest import World
from tests.services.runs.runs import NOW, TENANT
from tests.services.runs.work import LATER, ScriptedModel, execute, submit

STREAM = f"{RUN}/stream"
Heard = list[tuple[str, str, str]]
"""Id, event and data of each event."""


def _ask(run_id: str, cursor: str | None = None, *, tenant_id: str = TENANT, role: Role = Role.OBSERVER) -> Any:  # noqa: ANN401 — the gateway's answer
    path = {"tenant_id": tenant_id, "run_id": run_id}
    headers = {"Last-Event-ID": cursor} if cursor is not None else {}
    return handler(request("GET", STREAM, path_parameters=path, claims=claims(role=role), headers=headers))


def _events(answer: Any) -> Heard:  # noqa: ANN401 — as above
    head, *blocks = answer["body"].removesuffix("\n\n").split("\n\n")
    assert head == "retry: 300"
    found = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
    return [(one["id"], one["event"], one["data"]) for one in found]


class TestFollow:
    def test_waits_for_what_is_new(self, world: World) -> None:
        run = submit(world)
        looked: list[str] = []

        def pauses() -> Iterator[None]:
            looked.append("again")
            yield
            execute(world, run)
            yield

        told = follow(world.runs, TENANT, run.run_id, Cursor(), pauses=pauses())
        assert [one.name for one in told] == ["run.delta", "run.completed"]
        assert looked == ["again"]

    def test_gives_up_when_the_pauses_are_over(self, world: World) -> None:
        assert follow(world.runs, TENANT, submit(world).run_id, Cursor(), pauses=[None, None]) == []

    def test_hears_an_answer_while_it_comes(self, world: World) -> None:
        run, cursor, heard, now = submit(world), Cursor(), list[str](), [LATER]

        def hear() -> None:
            nonlocal cursor
            for told in follow(world.runs, TENANT, run.run_id, cursor, pauses=[]):
                heard.append(str(told.data.get("text", told.name)))
                cursor = told.cursor

        def wait() -> None:
            now[0] += timedelta(milliseconds=500)

        script = [Text("a"), hear, wait, Text("b"), hear, wait, Text("c"), hear, Text("d"), hear, Ended({})]

        def clock() -> Iterator[Any]:
            while True:
                yield now[0]

        execute(world, run, ScriptedModel([script]), clock=clock())
        hear()
        assert heard == ["ab", "c", "d", "run.completed"]

    def test_knows_no_run_of_another_tenant(self, world: World) -> None:
        with pytest.raises(RunNotFound):
            follow(world.runs, "demo-org2", submit(world).run_id, Cursor(), pauses=[])


class TestStreamRun:
    @pytest.fixture
    def done(self, world: World) -> Run:
        """A run that has ended."""
        return execute(world, submit(world, message="Grüß Gott"))

    def test_replays_a_run_that_has_ended_and_then_says_that_nothing_more_comes(self, done: Run) -> None:
        answer = _ask(done.run_id)
        assert answer["statusCode"] == 200
        assert answer["multiValueHeaders"]["Content-Type"] == ["text/event-stream"]
        assert answer["multiValueHeaders"]["Cache-Control"] == ["no-store"]
        (_, delta, text), (last, completed, data) = _events(answer)
        assert (delta, text) == ("run.delta", '{"text":"This is a simulated answer. You said: Grüß Gott"}')
        assert (completed, data) == ("run.completed", f'{{"run_id":"{done.run_id}","status":"completed"}}')
        over = _ask(done.run_id, last)
        assert (over["statusCode"], over["body"]) == (204, "")

    def test_goes_on_behind_the_last_event(self, done: Run) -> None:
        (first, _, _), rest = _events(_ask(done.run_id))
        assert _events(_ask(done.run_id, first)) == [rest]

    def test_ends_a_response_that_grows_large_and_goes_on_in_the_next(self, world: World) -> None:
        text = '"\\' * 700_000
        done = execute(world, submit(world), ScriptedModel([[Text(text), Ended({})]]))
        heard, last, sizes = list[str](), None, list[int]()
        while (answer := _ask(done.run_id, last))["statusCode"] == 200:
            events = _events(answer)
            last = events[-1][0]
            sizes.append(len(json.dumps(answer)))
            heard += [json.loads(data).get("text", "") for _, _, data in events]
        assert "".join(heard) == text
        assert (len(sizes) > 2, max(sizes) < 6_000_000) == (True, True)

    @pytest.mark.parametrize("rubbish", ["7", "é", "W10", "0.1.1.5", "x" * 5_000])
    def test_refuses_what_is_no_id_of_an_event(self, done: Run, rubbish: str) -> None:
        assert _ask(done.run_id, rubbish)["statusCode"] == 400

    @pytest.mark.parametrize("place", ["", "0.1.1.-5", "0.1.1.123456789", "later"])
    def test_refuses_a_place_that_it_never_gave(self, done: Run, place: str) -> None:
        assert _ask(done.run_id, seal(place, TENANT, "stream", done.run_id))["statusCode"] == 400

    def test_refuses_the_id_of_another_runs_event(self, world: World, done: Run) -> None:
        (first, _, _), _ = _events(_ask(done.run_id))
        assert _ask(execute(world, submit(world)).run_id, first)["statusCode"] == 400

    def test_answers_404_for_a_run_that_does_not_exist(self, world: World) -> None:
        assert world.store
        answer = _ask(new_id("run", NOW))
        assert answer["statusCode"] == 404
        assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]

    def test_refuses_another_tenants_path(self, done: Run) -> None:
        assert _ask(done.run_id, tenant_id="enterprise-test")["statusCode"] == 403


def test_the_openapi_document_says_how_to_follow() -> None:
    said = document([handler])["paths"][STREAM]["get"]
    assert list(said["responses"]["200"]["content"]) == ["text/event-stream"]
    assert "content" not in said["responses"]["204"]
    assert [one["name"] for one in said["parameters"] if one.get("in") == "header"] == ["last-event-id"]
    assert said["responses"]["404"] == {"$ref": "#/components/responses/404"}


def test_a_place_behind_a_text_counts_characters() -> None:
    assert Place(1, 1, 2).after("Grüß") == Place(1, 1, 6)
