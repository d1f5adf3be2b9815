"""The clients of the API, generated from the OpenAPI document into `clients/python` and `clients/typescript`.

Their types are checked too, so a document that a generator misunderstands fails here and not in a customer's program.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.bundle.target import ROOT
from infra.documents import FOLDER as DOCUMENTS
from infra.tools import node_environment, program

CLIENTS = ROOT / "clients"
PYTHON, TYPESCRIPT = CLIENTS / "python", CLIENTS / "typescript"
DOCUMENT = DOCUMENTS / "api" / "openapi.json"

_LOCK, _STAMP = CLIENTS / "package-lock.json", CLIENTS / "node_modules" / ".ainexus-lock"
_PACKAGES = CLIENTS / "node_modules"


class NotGenerated(Exception):
    """A generator or a type check failed, or printed a warning."""


def generate() -> None:
    """Generate both clients and check their types.

    Raises:
        NotGenerated: a generator warned or failed, or a client has a type error.
    """
    install_packages()
    generate_python(DOCUMENT, PYTHON)
    generate_typescript(DOCUMENT, TYPESCRIPT)
    check_python()
    check_typescript()


def install_packages() -> None:
    """Install the locked npm packages, unless they are installed."""
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if not _STAMP.is_file() or _STAMP.read_text() != digest:
        _run([program("npm"), "ci", "--no-audit", "--no-fund", "--loglevel", "error"])
        _STAMP.write_text(digest)


def generate_python(document: Path, target: Path) -> None:
    """Generate the Python client, whose package is `ainexus_client`."""
    shutil.rmtree(target, ignore_errors=True)
    settings = ["--config", str(CLIENTS / "python.yml"), "--meta", "uv"]
    output = ["--output-path", str(target), "--overwrite", "--fail-on-warning"]
    _run([_tool("openapi-python-client"), "generate", "--path", str(document), *settings, *output])


def generate_typescript(document: Path, target: Path) -> None:
    """Generate the types for TypeScript, beside the client that uses them."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    types = _PACKAGES / "openapi-typescript" / "bin" / "cli.js"
    _run([program("node"), str(types), str(document), "--output", str(target / "schema.d.ts")])
    for template in (CLIENTS / "templates").iterdir():
        shutil.copy(template, target / template.name)


def check_python(*programs: Path) -> None:
    """Check the types of the Python client, or of these programs that use it."""
    _run([_tool("basedpyright"), "--project", str(CLIENTS / "pyrightconfig.json"), *map(str, programs)])


def check_typescript() -> None:
    """Check the types of the TypeScript client, and of all programs in its folder."""
    _run([program("node"), str(_PACKAGES / "typescript" / "bin" / "tsc"), "--project", str(CLIENTS / "tsconfig.json")])


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(command: Sequence[str]) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), node_environment()["PATH"]))
    environ = {**node_environment(), "PATH": path}
    ended = subprocess.run(command, cwd=CLIENTS, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 — pinned programs
    output = f"{ended.stdout}{ended.stderr}".strip()
    if ended.returncode or "warning" in ended.stderr.lower():
        msg = f"{Path(command[0]).name}: {output}"
        raise NotGenerated(msg)
