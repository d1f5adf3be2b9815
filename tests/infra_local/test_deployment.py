"""When a deployment is done, and when it is refused."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from infra.local.deployment import Deployment, wait_for_answer
from infra.local.errors import DeploymentFailed
from infra.local.health import free_port
from infra.local.paths import Home
from infra.local.progress import Progress
from tests.infra_local.clouds import FakeClients, cloud, stack


def _deployment(root: Path, cloudformation: Any, *, noted: dict[str, Any] | None = None) -> Deployment:  # noqa: ANN401 — a fake
    home = Home(root=root, state=root)
    if noted is not None:
        home.deployed.write_text(json.dumps(noted))
    clients: Any = FakeClients(cloudformation)
    return Deployment(
        home,
        4700,
        clients=clients,
        environ={},
        progress=Progress(io.StringIO()),
        stripe="http://localhost:4701",
        stripe_api_base="http://localhost:4701",
        fingerprint="now",
    )


class TestBringUp:
    def test_does_nothing_when_nothing_has_changed(self, tmp_path: Path) -> None:
        noted = {"fingerprint": "now", "stacks": ["AILabCore-local"]}
        assert not _deployment(tmp_path, cloud([stack("AILabCore-local")]), noted=noted).bring_up()

    @pytest.mark.parametrize(
        "noted",
        [None, {"fingerprint": "before", "stacks": ["AILabCore-local"]}, {"other": 1}],
        ids=["first", "changed", "unreadable"],
    )
    def test_goes_on_otherwise(self, tmp_path: Path, noted: dict[str, Any] | None) -> None:
        broken = cloud([stack("AILabCore-local", "ROLLBACK_FAILED")])
        with pytest.raises(DeploymentFailed):
            _deployment(tmp_path, broken, noted=noted).bring_up()

    def test_goes_on_when_a_stack_is_gone(self, tmp_path: Path) -> None:
        noted = {"fingerprint": "now", "stacks": ["AILabCore-local", "AILabEdge-local"]}
        found = [stack("AILabCore-local"), stack("AILabEdge-local", "DELETE_FAILED")]
        with pytest.raises(DeploymentFailed, match="AILabEdge-local"):
            _deployment(tmp_path, cloud(found), noted=noted).bring_up()

    def test_says_what_is_half_done_and_how_to_begin_anew(self, tmp_path: Path) -> None:
        found = cloud([stack("AILabCore-local"), stack("AILabRuns-local", "UPDATE_ROLLBACK_FAILED")])
        with pytest.raises(DeploymentFailed, match=r"AILabRuns-local \(UPDATE_ROLLBACK_FAILED\)[\s\S]*ainexus reset"):
            _deployment(tmp_path, found).bring_up()


class TestWaitForAnswer:
    def test_says_what_it_waited_for(self) -> None:
        url = f"http://127.0.0.1:{free_port()}/v1/health"
        with pytest.raises(DeploymentFailed, match=url):
            wait_for_answer(url, patience_s=0.1)
