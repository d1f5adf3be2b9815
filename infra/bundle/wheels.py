"""Third-party packages as an archive, built once per set of requirements."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.bundle.archive import add_folder
from infra.bundle.bytecode import replace_by_bytecode
from infra.bundle.target import STATE, BundleTarget, engine_python

FORMAT = "6"
"""Increased when a change of the build affects its result."""

_NOT_AT_RUNTIME = frozenset({".c", ".css", ".h", ".js", ".pxd", ".pyi", ".pyx"})
ONLY_FOR_TYPES = ("stripe/params",)
"""Folders of modules for type checkers alone; they are most of Stripe's SDK."""
NOT_IMPORTED = (
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            "auth_alpha",
            "batch",
            "circuit_breaker",
            "data_masking",
            "feature_flags",
            "idempotency",
            "kafka",
            "parameters",
            "parser",
            "streaming",
        )
    ),
    "aws_xray_sdk/ext",
)
"""Folders with features that no function uses, and that their packages import only on demand."""
OPTIONAL_EXTENSIONS = ("wrapt/_wrappers.*.so",)
"""Extensions in C with an equivalent in Python, which is fast enough for its few uses."""
DEVELOPMENT_PLUGINS = (
    "anyio/pytest_plugin.py",
    "pydantic/mypy.py",
    "pydantic/v1/_hypothesis_plugin.py",
    "pydantic/v1/mypy.py",
)
"""Plugins for mypy, pytest and hypothesis, which no other module imports."""
_LEFT_BY_INSTALLER = ("RECORD", "INSTALLER", "REQUESTED", ".lock", "direct_url.json")


def wheels(requirements: str, *, target: BundleTarget, cache: Path) -> Path:
    """Return a compiled archive of these requirements, from the cache if it was built before."""
    key = hashlib.sha256(f"{FORMAT}\n{target.key}\n{requirements}".encode()).hexdigest()[:24]
    archive = cache / f"wheels-{key}.zip"
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            folder = Path(scratch) / "packages"
            _install(requirements, target=target, folder=folder)
            strip(folder)
            if target.compiler:
                replace_by_bytecode(folder, interpreter=target.compiler)
            unfinished = Path(scratch) / "made.zip"
            add_folder(unfinished, folder)
            unfinished.replace(archive)
    return archive


def _install(requirements: str, *, target: BundleTarget, folder: Path) -> None:
    folder.mkdir()
    if not requirements:
        return
    listed = folder.with_suffix(".txt")
    listed.write_text(requirements)
    platform_options = ["--python", str(engine_python())]
    if target.platform:
        platform_options = [
            "--python",
            sys.executable,
            "--python-platform",
            target.platform,
            "--python-version",
            target.version,
        ]
    rules = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet"]
    command = [_uv(), "pip", "install", "--target", str(folder), *platform_options, *rules, "-r", str(listed)]
    subprocess.run(command, check=True)  # noqa: S603 — the project's own uv


def strip(folder: Path) -> None:
    """Delete the parts of installed packages that no function needs.

    Files may be hard links into the installer's cache, so they are replaced and never changed.
    """
    for unused in ("bin", *ONLY_FOR_TYPES, *NOT_IMPORTED):
        shutil.rmtree(folder / unused, ignore_errors=True)
    for pattern in (*OPTIONAL_EXTENSIONS, *DEVELOPMENT_PLUGINS):
        for unused in folder.glob(pattern):
            unused.unlink()
    for path in [found for found in folder.rglob("*") if found.is_file()]:
        if path.name in _LEFT_BY_INSTALLER or path.suffix in _NOT_AT_RUNTIME or path.parent.name == "sboms":
            path.unlink()
        elif path.name == "METADATA":
            # The headers are followed by the package's description.
            headers = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")[0].rstrip()
            path.unlink()
            path.write_bytes(headers + b"\n")


def _uv() -> str:
    own = STATE / "uv" / "bin" / "uv"
    found = os.environ.get("AINEXUS_UV") or (str(own) if own.exists() else shutil.which("uv"))
    if not found:
        msg = "uv is needed to build the functions: put it on the PATH, or name it in AINEXUS_UV"
        raise FileNotFoundError(msg)
    return found
