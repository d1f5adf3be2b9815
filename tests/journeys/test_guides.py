"""The guides' commands, run as they stand, one guide after the other in a shell of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.bundle.target import ROOT
from infra.local.paths import Home
from tests.guides.page import GUIDES, Page
from tests.journeys.awscli import folder_of_aws
from tests.mesh import Mesh

pytestmark = pytest.mark.mesh

_LONGEST_S = 900
RUN = {
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
    GUIDES / "seed-walk.md": (
        *("The mesh is up", "export const awsConfig", '"status":"healthy"', "admin@walk-org.com"),
        *('"pagination":', '"status":"completed"', '"error":"Unauthorized"', '"tokens_in"', "SubscriptionArn"),
        *("AWS_ENDPOINT_URL=", "Datapoints", "engine"),
    ),
}
"""What each guide must have made somebody see, by its file."""


def shell(blocks: list[str], *, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run blocks in one shell, which stops at the first command that fails."""
    script = "\n".join(["set -euo pipefail", *blocks])
    return subprocess.run(  # noqa: S603 — what our own guides say
        ["/bin/bash", "-c", script],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )


@pytest.fixture(name="environ", scope="module")
def make_environ(mesh: Mesh) -> dict[str, str]:
    """That of a newcomer's shell beside the mesh of the journeys, with the AWS command line on its path."""
    kept = {name: value for name, value in mesh.environ.items() if not name.startswith("AWS_")}
    path = os.pathsep.join((str(folder_of_aws(Home.of({}))), mesh.environ.get("PATH", os.defpath)))
    return {**kept, "PATH": path, "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(name="_variables", scope="module", autouse=True)
def put_variables(mesh: Mesh) -> Iterator[None]:
    """`.env.local` where a newcomer finds it: a mesh with a home of its own keeps it there."""
    written, expected = Home.of(mesh.environ).variables, ROOT / ".env.local"
    if expected.exists():
        yield
        return
    shutil.copy(written, expected)
    yield
    expected.unlink()


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.name)
def test_is_run_as_it_stands(path: Path, environ: dict[str, str]) -> None:
    said = shell(Page(path).blocks("bash"), environ=environ)
    assert said.returncode == 0, said.stdout[-3000:] + said.stderr[-3000:]
    heard = said.stdout.replace('": ', '":')
    assert [sign for sign in RUN[path] if sign.lower() not in heard.lower()] == [], said.stdout[-6000:]


def test_the_walk_of_the_readme_is_run_as_it_stands(environ: dict[str, str]) -> None:
    said = shell(Page(ROOT / "README.md").blocks("sh", below="The walk"), environ=environ)
    assert said.returncode == 0, said.stdout + said.stderr
    assert '"status":"completed"' in said.stdout.replace('": ', '":')


def test_no_guide_is_left_out() -> None:
    with_blocks = {path.name for path in GUIDES.glob("*.md") if Page(path).blocks("bash")}
    assert with_blocks == {path.name for path in RUN}


def test_a_command_that_fails_is_seen(environ: dict[str, str]) -> None:
    assert shell(["echo one", "false", "echo two"], environ=environ).stdout == "one\n"
    assert shell(["false | cat"], environ=environ).returncode != 0
