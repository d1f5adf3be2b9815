"""The usage demo: it succeeds only if every step has the expected result."""

from typing import Any

import pytest

from cli.demo.expectation import DemoFailed
from cli.demo.usage import UsageDemo
from tests.cli.demo.mesh import FakeMesh

_WRONG = {"requests": 1, "tokens_in": 16, "tokens_out": 13, "compute_ms": 40}
_TWICE = {"requests": 2, "tokens_in": 30, "tokens_out": 26, "compute_ms": 80}


def _run(mesh: FakeMesh) -> dict[str, Any]:
    return UsageDemo(mesh.context(), title=lambda _: None, note=lambda _: None).run()


class TestUsageDemo:
    def test_returns_ids_and_usage(self) -> None:
        seen = _run(FakeMesh())
        assert (seen["agent_id"], seen["run_id"]) == ("agt_1", "run_1")
        assert (seen["usage"]["tokens_in"], seen["usage"]["tokens_out"]) == (15, 13)

    def test_sends_the_requests_of_the_guide(self) -> None:
        mesh = FakeMesh()
        _run(mesh)
        run = next(request for request in mesh.requests if request.method == "POST" and request.url.endswith("runs"))
        assert run.body == {"agent_id": "agt_1", "inputs": {"message": "Hello, world! This is a test."}}
        assert run.headers == {"Prefer": "wait=25"}
        assert run.token == "token"

    def test_waits_for_late_usage_and_no_longer(self) -> None:
        mesh = FakeMesh(late=5)
        _run(mesh)
        assert mesh.seconds == 5

    def test_polls_a_run_that_outlasts_the_wait(self) -> None:
        assert _run(FakeMesh(waits=False))["run_id"] == "run_1"

    def test_accepts_existing_projects_in_a_second_demo(self) -> None:
        again = {
            "projects": [{"project_id": "prj_1"}],
            "pagination": {"nextToken": "x", "hasMore": True},
            "requestId": "",
        }
        assert _run(FakeMesh(projects=again))

    @pytest.mark.parametrize(
        ("mesh", "reason"),
        [
            (FakeMesh(ledger=_WRONG), "the table has .*tokens_in 16.*the run used .*tokens_in 15"),
            (FakeMesh(events=_WRONG), "usage/events has .*tokens_in 16"),
            (FakeMesh(daily=_WRONG), "usage/daily has .*tokens_in 16.*the ledger .*tokens_in 15"),
            (FakeMesh(daily=_TWICE), "usage/daily has requests 2"),
            (FakeMesh(bill=2901), "the lines add up to 2900 cents, the bill is 2901"),
            (FakeMesh(late=10_000), "0 items of the run"),
            (FakeMesh(is_fixed=True), "has not found the planted faults"),
            (FakeMesh(has_fixes=False), "still has errors"),
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
    def test_fails_on_any_other_result(self, mesh: FakeMesh, reason: str) -> None:
        with pytest.raises(DemoFailed, match=reason):
            _run(mesh)

    def test_gives_up_after_a_bounded_time(self) -> None:
        mesh = FakeMesh(daily=_WRONG)
        with pytest.raises(DemoFailed):
            _run(mesh)
        assert mesh.seconds < 100
