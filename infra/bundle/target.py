"""The machine and the Python that a bundle is for."""

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
"""What is made here and can be thrown away."""


@dataclass(frozen=True, slots=True)
class BundleTarget:
    """Which wheels fit, and which bytecode."""

    platform: str | None = "aarch64-manylinux_2_28"
    """As uv names it; None: this machine. The runtime's Amazon Linux 2023 has glibc 2.34."""
    python: str | None = "3.13"
    """None: the version of the local engine, in whose interpreter the functions run."""

    @property
    def version(self) -> str:
        """The Python version, for example `3.13`."""
        return self.python or _described(engine_python())["version"]

    @property
    def key(self) -> str:
        """What two bundles must share to be the same."""
        compiled = "compiled" if self.compiler else "plain"
        return f"{self.platform or _described(engine_python())['platform']} {self.version} {compiled}"

    @property
    def compiler(self) -> Path | None:
        """An interpreter of the right version, if there is one; without it the bundle has no bytecode."""
        candidates = (Path(sys.executable), engine_python())
        return next((found for found in candidates if _described(found)["version"] == self.version), None)


def engine_python() -> Path:
    """The interpreter of the local engine, or this one before the engine is installed."""
    said = os.environ.get("AINEXUS_ENGINE_PYTHON")
    candidates = (Path(said) if said else None, STATE / "engine" / "bin" / "python")
    return next((found for found in candidates if found and found.exists()), Path(sys.executable))


_ASKED = """
import json, sys, sysconfig
print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "platform": sysconfig.get_platform()}))
"""


@cache
def _described(interpreter: Path) -> dict[str, str]:
    command = [interpreter, "-I", "-S", "-c", _ASKED]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 — an interpreter of ours
    return json.loads(answer.stdout)
