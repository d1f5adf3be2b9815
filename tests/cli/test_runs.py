"""Following a run."""

import pytest

from cli.api import Answer, Request
from cli.errors import Refused
from cli.runs import lines_of, states_of


class TestStatesOf:
    def test_says_each_state_once_and_ends_with_the_final_one(self) -> None:
        statuses = iter(["queued", "queued", "running", "running", "completed"])
        pauses: list[None] = []

        def send(request: Request) -> Answer:
            assert (request.url, request.token) == ("http://run", "t")
            return Answer(200, {"run": {"status": next(statuses)}})

        seen = states_of("http://run", "t", send=send, pause=lambda: pauses.append(None))
        assert [run["status"] for run in seen] == ["queued", "running", "completed"]
        assert len(pauses) == 2

    def test_says_why_a_run_cannot_be_read(self) -> None:
        answer = Answer(404, {"error": "NotFound", "message": "There is no such run."})
        with pytest.raises(Refused, match=r"^NotFound: There is no such run\.$"):
            list(states_of("http://run", "t", send=lambda _: answer, pause=lambda: None))


class TestLinesOf:
    def test_is_the_answer_of_a_completed_run(self) -> None:
        assert lines_of({"status": "completed", "output": {"message": "Hello"}}) == ["Hello"]

    def test_is_the_reason_of_any_other(self) -> None:
        failed = {"status": "failed", "error": {"code": "Timeout", "message": "too long"}}
        assert lines_of(failed) == ["Timeout: too long"]
        assert lines_of({"status": "cancelled", "error": None}) == ["cancelled: "]
