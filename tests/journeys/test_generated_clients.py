"""The programs of the guide use the generated clients: create an agent, run it, stream it, read usage and invoices."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from infra.clients import PYTHON, TYPESCRIPT, check_python, check_typescript, generate
from infra.tools import program
from tests.guides.page import GUIDES, MarkdownPage
from tests.mesh import DEVELOPER, Mesh

pytestmark = pytest.mark.mesh

GUIDE = MarkdownPage(GUIDES / "generated-clients.md")
_TIMEOUT_S = 300


@pytest.fixture(name="programs", scope="module")
def write_programs() -> dict[str, Sequence[str]]:
    """Generate the clients, write the guide's programs beside them, and return the commands that run them."""
    generate()
    [python], [typescript] = GUIDE.blocks("python"), GUIDE.blocks("ts")
    in_python, in_typescript = PYTHON / "guide.py", TYPESCRIPT / "guide.ts"
    in_python.write_text(python)
    in_typescript.write_text(typescript)
    check_python(in_python)
    check_typescript()
    return {
        "Python": [sys.executable, str(in_python)],
        "TypeScript": [program("node"), "--experimental-strip-types", str(in_typescript)],
    }


@pytest.mark.parametrize("language", ["Python", "TypeScript"])
def test_guide_runs(mesh: Mesh, programs: dict[str, Sequence[str]], language: str) -> None:
    environ = {
        **os.environ,
        "AINEXUS_API": mesh.api,
        "AINEXUS_TOKEN": mesh.token(DEVELOPER),
        "AINEXUS_TENANT": "demo-org",
    }
    ended = subprocess.run(  # noqa: S603 — the guide's own program
        programs[language], env=environ, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("completed "), ended.stdout
    for text in ("\nrun.delta ", "\nrun.completed", " tokens\n", " invoices\n"):
        assert text in ended.stdout
