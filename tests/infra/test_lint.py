"""The OpenAPI and AsyncAPI documents pass a linter of their standards."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.bundle.target import ROOT
from infra.tools import NODE_FOLDER, REDOCLY, install_node_tools, node_environment, program

FOLDER = ROOT / "docs" / "api"
NO_NETWORK = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


@pytest.fixture(name="redocly", scope="session")
def install_redocly() -> list[str]:
    """Install the linter and return the command that runs it."""
    install_node_tools([REDOCLY])
    return [program("node"), str(NODE_FOLDER / "node_modules" / "@redocly" / "cli" / "bin" / "cli.js"), "lint"]


def lint(redocly: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Lint the documents in a folder."""
    return subprocess.run(  # noqa: S603 — a pinned tool
        redocly, cwd=folder, env={**node_environment(), **NO_NETWORK}, capture_output=True, text=True, check=False
    )


def test_accepts_both_documents(redocly: list[str]) -> None:
    completed = lint(redocly, FOLDER)
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param("openapi.json", ("paths", "/v1/health", "get", "operationId"), id="no operationId"),
        pytest.param("openapi.json", ("paths", "/v1/health", "get", "responses"), id="no responses"),
        pytest.param("asyncapi.json", ("components", "messages", "run.queued.v1"), id="a missing message"),
        pytest.param("asyncapi.json", ("info", "version"), id="no version"),
    ],
)
def test_detects_missing_parts(redocly: list[str], tmp_path: Path, name: str, path: tuple[str, ...]) -> None:
    for file in ("openapi.json", "asyncapi.json", "redocly.yaml"):
        (tmp_path / file).write_text((FOLDER / file).read_text())
    document = json.loads((FOLDER / name).read_text())
    parent: dict[str, Any] = document
    for part in path[:-1]:
        parent = parent[part]
    del parent[path[-1]]
    (tmp_path / name).write_text(json.dumps(document))
    assert lint(redocly, tmp_path).returncode != 0
