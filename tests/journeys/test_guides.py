"""The guides' commands run unchanged, each guide in a shell of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.bundle.target import ROOT
from infra.local.paths import Home
from tests.guides.page import GUIDES, MarkdownPage
from tests.journeys.awscli import folder_of_aws
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

_TIMEOUT_S = 900
EXPECTED_OUTPUT = {
    GUIDES / "first-run.md": (
        '"status":"healthy"',
        '"tenant_id":"demo-org"',
        "completed",
        '"spans":',
        '"gen_ai.usage.output_tokens":60',
    ),
    GUIDES / "operate.md": (
        *("no event waits in an outbox", "No drift", "There are no dead letters", "ainexus-local-runs"),
        *("suspended", "active", "is complete", "Nothing was removed yet"),
    ),
    GUIDES / "connect-a-front-end.md": (
        *("userPoolClientId:", "200, ", '"tenant_id":"demo-org"'),
        *("access-control-allow-headers", "access-control-expose-headers"),
    ),
    GUIDES / "linting.md": (
        *("AIN101", "exit code 1", '"fixed":', '"op":"replace"', "0 error", "lint_gate", '"status":"completed"'),
        *("AIN403", "ValidationFailed"),
    ),
    GUIDES / "walkthrough.md": (
        *("The mesh is up", "export const awsConfig", '"status":"healthy"', "admin@walk-org.com"),
        *('"pagination":', '"status":"completed"', '"error":"Unauthorized"', '"tokens_in"', "SubscriptionArn"),
        *("AWS_ENDPOINT_URL=", "Datapoints", "engine"),
    ),
}
"""The texts that the output of each guide's commands must contain, by file."""


def shell(blocks: list[str], *, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run blocks in one shell, which stops at the first command that fails."""
    script = "\n".join(["set -euo pipefail", *blocks])
    return subprocess.run(  # noqa: S603 — commands of our own guides
        ["/bin/bash", "-c", script],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


@pytest.fixture(name="environ", scope="module")
def make_environ(mesh: Mesh) -> dict[str, str]:
    """Return the environment of a new user's shell, with the mesh of the journeys and the AWS command line."""
    inherited = {name: value for name, value in mesh.environ.items() if not name.startswith("AWS_")}
    path = os.pathsep.join((str(folder_of_aws(Home.of({}))), mesh.environ.get("PATH", os.defpath)))
    return {**inherited, "PATH": path, "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(name="_variables", scope="module", autouse=True)
def put_variables(mesh: Mesh) -> Iterator[None]:
    """Copy `.env.local` to the checkout if the mesh has a separate home that stores it."""
    source, expected = Home.of(mesh.environ).variables, ROOT / ".env.local"
    if expected.exists():
        yield
        return
    shutil.copy(source, expected)
    yield
    expected.unlink()


@pytest.mark.parametrize("path", EXPECTED_OUTPUT, ids=lambda path: path.name)
def test_guide_runs_unchanged(path: Path, environ: dict[str, str]) -> None:
    completed = shell(MarkdownPage(path).blocks("bash"), environ=environ)
    assert completed.returncode == 0, completed.stdout[-3000:] + completed.stderr[-3000:]
    received = completed.stdout.replace('": ', '":')
    assert [snippet for snippet in EXPECTED_OUTPUT[path] if snippet.lower() not in received.lower()] == [], (
        completed.stdout[-6000:]
    )


def test_readme_walkthrough_runs_unchanged(environ: dict[str, str]) -> None:
    completed = shell(MarkdownPage(ROOT / "README.md").blocks("sh", heading="Walkthrough"), environ=environ)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert '"status":"completed"' in completed.stdout.replace('": ', '":')


def test_covers_every_guide() -> None:
    with_blocks = {path.name for path in GUIDES.glob("*.md") if MarkdownPage(path).blocks("bash")}
    assert with_blocks == {path.name for path in EXPECTED_OUTPUT}


def test_shell_stops_at_a_failing_command(environ: dict[str, str]) -> None:
    assert shell(["echo one", "false", "echo two"], environ=environ).stdout == "one\n"
    assert shell(["false | cat"], environ=environ).returncode != 0
