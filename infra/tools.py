"""The pinned Node programs of this project: the CDK command line, and two for the tests."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.bundle.target import ROOT, STATE

CDK_CLI = "aws-cdk@2.1148.1"
IAM_SIMULATE = "@cloud-copilot/iam-simulate@0.1.173"
"""Simulates AWS's policy decisions."""
REDOCLY = "@redocly/cli@2.77.0"
"""Lints the OpenAPI and the AsyncAPI document. One package, without dependencies."""

NODE_FOLDER = STATE / "node"


def install_node_tools(tools: Sequence[str] = (CDK_CLI, IAM_SIMULATE, REDOCLY)) -> None:
    """Install these tools if they are missing."""
    missing = [tool for tool in tools if not _is_installed(tool)]
    if not missing:
        return
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    quiet = ["--no-audit", "--no-fund", "--loglevel", "error", "--save-exact"]
    command = [program("npm"), "install", "--prefix", str(NODE_FOLDER), *quiet, *missing]
    subprocess.run(command, check=True, env=node_environment())  # noqa: S603 — pinned names


def cdk_command() -> list[str]:
    """Return the command of the CDK command line."""
    return [program("node"), str(NODE_FOLDER / "node_modules" / "aws-cdk" / "bin" / "cdk")]


def node_environment() -> dict[str, str]:
    """Return this environment with Node on the path, because CDK's Python library starts it too."""
    path = os.pathsep.join((str(_own_programs()), os.environ.get("PATH", os.defpath)))
    return {**os.environ, "PATH": path, "JSII_RUNTIME_PACKAGE_CACHE": "enabled"}


def program(name: str) -> str:
    """Return the path of a program. The virtual environment's Node comes before the machine's.

    Raises:
        FileNotFoundError: there is none.
    """
    found = shutil.which(name, path=node_environment()["PATH"])
    if found is None:
        msg = f"{name} is neither in {_own_programs()} nor on the PATH"
        raise FileNotFoundError(msg)
    return found


def _own_programs() -> Path:
    own = ROOT / ".venv" / "bin"
    return own if (own / "node").exists() else Path(sys.executable).parent


def _is_installed(tool: str) -> bool:
    name, _, version = tool.rpartition("@")
    package = NODE_FOLDER / "node_modules" / name / "package.json"
    return package.exists() and json.loads(package.read_bytes())["version"] == version


if __name__ == "__main__":
    install_node_tools()
