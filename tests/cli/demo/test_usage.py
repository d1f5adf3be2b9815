"""The demo succeeds only when everything is as it should be."""

from typing import Any

import pytest

from cli.demo.usage import Walk, WalkFailed
from tests.cli.demo.mesh import FakeMesh

_WRONG = {"requests": 1, "tokens_in": 16, "tokens_out": 13, "compute_ms": 40}
_TWICE = {"requests": 2, "tokens_in": 30, "tokens_out": 26, "compute_ms": 80}


def _walk(mesh: FakeMesh) -> dict[str, Any]:
    return Walk(mesh.world(), title=lambda _: None, note=lambda _: None).go()


class TestWalk:
    def test_says_what_it_saw(self) -> None:
        seen = _walk(FakeMesh())
        assert (seen["agent_id"], seen["run_id"]) == ("agt_1", "run_1")
        assert (seen["usage"]["tokens_in"], seen["usage"]["tokens_out"]) == (15, 13)

    def test_sends_what_the_guide_says(self) -> None:
        mesh = FakeMesh()
        _walk(mesh)
        run = next(request for request in mesh.asked if request.method == "POST" and request.url.endswith("runs"))
        assert run.body == {"agent_id": "agt_1", "inputs": {"message": "Hello, world! This is a test."}}
        assert run.headers == {"Prefer": "wait=25"}
        assert run.token == "token"

    def test_waits_for_usage_that_comes_late_and_no_longer(self) -> None:
        mesh = FakeMesh(late=5)
        _walk(mesh)
        assert mesh.seconds == 5

    def test_follows_a_run_that_took_longer_than_the_wait(self) -> None:
        assert _walk(FakeMesh(waits=False))["run_id"] == "run_1"

    def test_lets_projects_be_there_when_it_is_run_again(self) -> None:
        again = {
            "projects": [{"project_id": "prj_1"}],
            "pagination": {"nextToken": "x", "hasMore": True},
            "requestId": "",
        }
        assert _walk(FakeMesh(projects=again))

    @pytest.mark.parametrize(
        ("mesh", "reason"),
        [
            (FakeMesh(ledger=_WRONG), "the table has .*tokens_in 16.*the run used .*tokens_in 15"),
            (FakeMesh(events=_WRONG), "usage/events has .*tokens_in 16"),
            (FakeMesh(daily=_WRONG), "usage/daily has .*tokens_in 16.*the ledger .*tokens_in 15"),
            (FakeMesh(daily=_TWICE), "usage/daily has requests 2"),
            (FakeMesh(bill=2901), "the lines are 2900 cents together, the bill 2901"),
            (FakeMesh(late=10_000), "0 items of the run"),
            (FakeMesh(health="ill"), "healthy"),
            (FakeMesh(status="failed"), "the run is failed.*ProviderFailed"),
            (FakeMesh(agent_status=500), "expected 201, got 500"),
            (FakeMesh(projects={"projects": []}), "documented fields"),
            (
                FakeMesh(projects={"projects": [], "pagination": {"hasMore": False}, "requestId": ""}),
                "pagination of an empty list",
            ),
        ],
    )
    def test_fails_on_anything_else(self, mesh: FakeMesh, reason: str) -> None:
        with pytest.raises(WalkFailed, match=reason):
            _walk(mesh)

    def test_gives_up_after_a_bounded_time(self) -> None:
        mesh = FakeMesh(daily=_WRONG)
        with pytest.raises(WalkFailed):
            _walk(mesh)
        assert mesh.seconds < 100
