"""Third-party packages as an archive, made once for each set of requirements."""

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

FORMAT = "4"
"""Raised when the way of building changes what comes out."""

_NOT_FOR_RUNNING = frozenset({".c", ".css", ".h", ".js", ".pxd", ".pyi", ".pyx"})
ONLY_FOR_TYPES = ("stripe/params",)
"""Folders of modules that nothing imports but a type checker; these are most of Stripe's SDK."""
CHECKER_PLUGINS = ("pydantic/mypy.py", "pydantic/v1/mypy.py")
"""Plugins that mypy loads, and that no other module imports."""
_LEFT_BY_INSTALLER = ("RECORD", "INSTALLER", "REQUESTED", ".lock", "direct_url.json")


def wheels(requirements: str, *, target: BundleTarget, cache: Path) -> Path:
    """An archive of these requirements, compiled; taken from the cache when it has been made before."""
    key = hashlib.sha256(f"{FORMAT}\n{target.key}\n{requirements}".encode()).hexdigest()[:24]
    archive = cache / f"wheels-{key}.zip"
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            folder = Path(scratch) / "packages"
            _install(requirements, target=target, folder=folder)
            strip(folder)
            if target.compiler:
                replace_by_bytecode(folder, interpreter=target.compiler)
            made = Path(scratch) / "made.zip"
            add_folder(made, folder)
            made.replace(archive)
    return archive


def _install(requirements: str, *, target: BundleTarget, folder: Path) -> None:
    folder.mkdir()
    if not requirements:
        return
    listed = folder.with_suffix(".txt")
    listed.write_text(requirements)
    place = ["--python", str(engine_python())]
    if target.platform:
        place = ["--python", sys.executable, "--python-platform", target.platform, "--python-version", target.version]
    rules = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet"]
    command = [_uv(), "pip", "install", "--target", str(folder), *place, *rules, "-r", str(listed)]
    subprocess.run(command, check=True)  # noqa: S603 — the project's own uv


def strip(folder: Path) -> None:
    """Leave out what no function needs of installed packages.

    Files may be hard links into the installer's cache: they are replaced, never written to.
    """
    for unused in ("bin", *ONLY_FOR_TYPES):
        shutil.rmtree(folder / unused, ignore_errors=True)
    for plugin in CHECKER_PLUGINS:
        (folder / plugin).unlink(missing_ok=True)
    for path in [found for found in folder.rglob("*") if found.is_file()]:
        if path.name in _LEFT_BY_INSTALLER or path.suffix in _NOT_FOR_RUNNING or path.parent.name == "sboms":
            path.unlink()
        elif path.name == "METADATA":
            # What comes after the headers is the package's description, for people.
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
