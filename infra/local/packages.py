"""Installation of locked packages, with hashes, into separate environments."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import NotInstalled
from infra.local.interpreter import version_of
from infra.local.paths import Home

UV_VERSION = "0.13.9"

_STAMP = ".ainexus-lock"
_MAX_ERROR_LINES = 8
_UNREACHABLE = (
    "dns error",
    "error sending request",
    "NewConnectionError",
    "ConnectTimeout",
    "SSLError",
    "from versions: none",
)


@dataclass(frozen=True, slots=True)
class Packages:
    """Creates the environments of a checkout."""

    home: Home

    def has_uv(self) -> bool:
        """Return whether the pinned uv is installed."""
        return self._stamp(self.home.uv.parents[1]).is_file() and self._uv_is_current()

    def install_uv(self) -> None:
        """Install the pinned uv into the checkout."""
        target = self.home.uv.parents[1]
        pip = [sys.executable, "-m", "pip"]
        _run([*pip, "install", "--quiet", "--upgrade", "--no-deps", "--target", str(target), f"uv=={UV_VERSION}"])
        self._stamp(target).write_text(UV_VERSION)

    def is_current(self, environment: Path, *, lock: Path) -> bool:
        """Return whether an environment works and matches its lock."""
        stamp = self._stamp(environment)
        return stamp.is_file() and stamp.read_text() == _digest(lock) and (environment / "bin" / "python").exists()

    def install(self, environment: Path, *, lock: Path, interpreter: Path) -> None:
        """Bring an environment in line with its lock. It is created anew if its Python differs."""
        if version_of(environment / "bin" / "python") != version_of(interpreter):
            self._uv("venv", "--clear", "--quiet", "--no-project", "--python", str(interpreter), str(environment))
        python = ["--python", str(environment / "bin" / "python")]
        self._uv("pip", "sync", "--quiet", "--require-hashes", *python, str(lock))
        self._stamp(environment).write_text(_digest(lock))

    def _uv(self, *arguments: str) -> None:
        _run([str(self.home.uv), *arguments])

    def _uv_is_current(self) -> bool:
        return self.home.uv.exists() and self._stamp(self.home.uv.parents[1]).read_text() == UV_VERSION

    def _stamp(self, folder: Path) -> Path:
        return folder / _STAMP


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _run(command: Sequence[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=_environ())  # noqa: S603 — our own tools
    if ended.returncode:
        raise NotInstalled(_explain(command, output=ended.stderr + ended.stdout))


def _environ() -> dict[str, str]:
    """Pass pip's index to uv, and leave out Python's own settings and an active environment."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    }
    index = os.environ.get("PIP_INDEX_URL")
    # The machine's own certificates: many company proxies need them.
    fixed = {"UV_SYSTEM_CERTS": "true", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return {**fixed, **({"UV_DEFAULT_INDEX": index} if index else {}), **inherited}


def _explain(command: Sequence[str], *, output: str) -> str:
    if "No module named pip" in output:
        return f"{command[0]} has no pip. Install it (Debian and Ubuntu: `apt install python3-pip`) and try again."
    lines = [line for line in output.strip().splitlines() if not line.startswith("WARNING: Retrying")]
    end = "\n".join(lines[-_MAX_ERROR_LINES:])
    if any(sign in output for sign in _UNREACHABLE):
        return (
            "The Python package index cannot be reached; the first installation needs it.\n"
            "Behind a proxy set HTTPS_PROXY; for an index of your own set PIP_INDEX_URL.\n"
            f"{end}"
        )
    return f"This failed: {' '.join(command)}\n{end}"
