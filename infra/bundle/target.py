"""The machine and the Python version of a bundle."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""

STATE = ROOT / ".ainexus"
"""Generated files, which can be deleted."""


@dataclass(frozen=True, slots=True)
class BundleTarget:
    """The platform and Python version that determine wheels and bytecode."""

    platform: str | None = "aarch64-manylinux_2_28"
    """uv's name of the platform; None: this machine. The runtime's Amazon Linux 2023 has glibc 2.34."""
    python: str | None = "3.13"
    """None: the version of the local engine, whose interpreter runs the functions."""

    @property
    def version(self) -> str:
        """Return the Python version, for example `3.13`."""
        return self.python or _describe(engine_python())["version"]

    @property
    def key(self) -> str:
        """Return the key by which two targets may share a bundle."""
        compiled = "compiled" if self.compiler else "plain"
        return f"{self.platform or _describe(engine_python())['platform']} {self.version} {compiled}"

    @property
    def compiler(self) -> Path | None:
        """Return an interpreter of the right version, if there is one. Without it, the bundle has no bytecode."""
        candidates = (Path(sys.executable), engine_python())
        return next((found for found in candidates if _describe(found)["version"] == self.version), None)


def engine_python() -> Path:
    """Return the interpreter of the local engine, or this one if the engine is not installed."""
    configured = os.environ.get("AINEXUS_ENGINE_PYTHON")
    candidates = (Path(configured) if configured else None, STATE / "engine" / "bin" / "python")
    return next((found for found in candidates if found and found.exists()), Path(sys.executable))


_DESCRIBE_SCRIPT = """
import json, sys, sysconfig
print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "platform": sysconfig.get_platform()}))
"""


@cache
def _describe(interpreter: Path) -> dict[str, str]:
    command = [interpreter, "-I", "-S", "-c", _DESCRIBE_SCRIPT]
    completed = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 — an interpreter of ours
    return json.loads(completed.stdout)
