"""The two documents pass a linter that knows their standards."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.bundle.target import ROOT
from infra.tools import NODE_FOLDER, REDOCLY, install_node_tools, node_environment, program

FOLDER = ROOT / "docs" / "api"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


@pytest.fixture(name="redocly", scope="session")
def install_redocly() -> list[str]:
    """How the linter is started."""
    install_node_tools([REDOCLY])
    return [program("node"), str(NODE_FOLDER / "node_modules" / "@redocly" / "cli" / "bin" / "cli.js"), "lint"]


def lint(redocly: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What the linter says of the documents in a folder."""
    return subprocess.run(  # noqa: S603 — a pinned tool
        redocly, cwd=folder, env={**node_environment(), **QUIET}, capture_output=True, text=True, check=False
    )


def test_both_documents_are_clean(redocly: list[str]) -> None:
    said = lint(redocly, FOLDER)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param("openapi.json", ("paths", "/v1/health", "get", "operationId"), id="no operationId"),
        pytest.param("openapi.json", ("paths", "/v1/health", "get", "responses"), id="no answers"),
        pytest.param("asyncapi.json", ("components", "messages", "run.queued.v1"), id="a message that is not there"),
        pytest.param("asyncapi.json", ("info", "version"), id="no version"),
    ],
)
def test_what_is_missing_is_seen(redocly: list[str], tmp_path: Path, name: str, path: tuple[str, ...]) -> None:
    for file in ("openapi.json", "asyncapi.json", "redocly.yaml"):
        (tmp_path / file).write_text((FOLDER / file).read_text())
    spoilt = json.loads((FOLDER / name).read_text())
    holder: dict[str, Any] = spoilt
    for part in path[:-1]:
        holder = holder[part]
    del holder[path[-1]]
    (tmp_path / name).write_text(json.dumps(spoilt))
    assert lint(redocly, tmp_path).returncode != 0
