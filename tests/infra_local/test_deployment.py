"""The conditions of a deployment, and its refusals."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.deployment import Deployment, wait_for_response
from infra.local.errors import DeploymentFailed
from infra.local.health import free_port
from infra.local.paths import Home
from infra.local.progress import ConsoleProgress
from tests.infra_local.clouds import FakeClients, cloud, stack


def _deployment(root: Path, cloudformation: Any, *, recorded: dict[str, Any] | None = None) -> Deployment:  # noqa: ANN401 — a fake
    home = Home(root=root, state=root)
    if recorded is not None:
        home.deployed.write_text(json.dumps(recorded))
    clients: Any = FakeClients(cloudformation)
    return Deployment(
        home,
        4700,
        clients=clients,
        environ={},
        progress=ConsoleProgress(io.StringIO()),
        stripe="http://localhost:4701",
        stripe_api_base="http://localhost:4701",
        fingerprint="now",
    )


class TestBringUp:
    def test_does_nothing_without_a_change(self, tmp_path: Path) -> None:
        recorded = {"fingerprint": "now", "stacks": ["AILabCore-local"]}
        assert not _deployment(tmp_path, cloud([stack("AILabCore-local")]), recorded=recorded).bring_up()

    @pytest.mark.parametrize(
        "recorded",
        [None, {"fingerprint": "before", "stacks": ["AILabCore-local"]}, {"other": 1}],
        ids=["first", "changed", "unreadable"],
    )
    def test_deploys_after_a_change(self, tmp_path: Path, recorded: dict[str, Any] | None) -> None:
        broken = cloud([stack("AILabCore-local", "ROLLBACK_FAILED")])
        with pytest.raises(DeploymentFailed):
            _deployment(tmp_path, broken, recorded=recorded).bring_up()

    def test_deploys_a_missing_stack(self, tmp_path: Path) -> None:
        recorded = {"fingerprint": "now", "stacks": ["AILabCore-local", "AILabEdge-local"]}
        found = [stack("AILabCore-local"), stack("AILabEdge-local", "DELETE_FAILED")]
        with pytest.raises(DeploymentFailed, match="AILabEdge-local"):
            _deployment(tmp_path, cloud(found), recorded=recorded).bring_up()

    def test_reports_incomplete_stacks_with_advice(self, tmp_path: Path) -> None:
        found = cloud([stack("AILabCore-local"), stack("AILabRuns-local", "UPDATE_ROLLBACK_FAILED")])
        with pytest.raises(DeploymentFailed, match=r"AILabRuns-local \(UPDATE_ROLLBACK_FAILED\)[\s\S]*ainexus reset"):
            _deployment(tmp_path, found).bring_up()


class TestWaitForResponse:
    def test_reports_the_endpoint_that_does_not_respond(self) -> None:
        url = f"http://127.0.0.1:{free_port()}/v1/health"
        with pytest.raises(DeploymentFailed, match=url):
            wait_for_response(url, timeout_s=0.1)
