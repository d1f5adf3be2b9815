"""The folders and files of the local mesh. Two checkouts share none."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalError

ROOT = Path(__file__).resolve().parents[2]
"""The root of the checkout."""

DEFAULT_PORT = 4566


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one mesh.

    Programs and built bundles belong to the checkout. The state may be in another folder, so that a second mesh can run
    beside the first, as the journeys in the tests do.
    """

    root: Path
    state: Path

    @classmethod
    def of(cls, environ: Mapping[str, str], *, root: Path = ROOT) -> "Home":
        """Return the home of this checkout, or the one in `AINEXUS_HOME`."""
        named = environ.get("AINEXUS_HOME")
        return cls(root=root, state=Path(named).resolve() if named else root / ".ainexus")

    @property
    def tools(self) -> Path:
        """The folder of programs that are installed once per checkout."""
        return self.root / ".ainexus"

    @property
    def uv(self) -> Path:
        """The installer of all other programs."""
        return self.tools / "uv" / "bin" / "uv"

    @property
    def engine_environment(self) -> Path:
        """The engine's own virtual environment."""
        return self.tools / "engine"

    @property
    def engine_python(self) -> Path:
        """The interpreter of the engine and of its functions."""
        return self.engine_environment / "bin" / "python"

    @property
    def environment(self) -> Path:
        """The virtual environment of the tools."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter of the tools."""
        return self.environment / "bin" / "python"

    @property
    def engine_state(self) -> Path:
        """The state that the engine writes at a clean stop."""
        return self.state / "state"

    @property
    def objects(self) -> Path:
        """The contents of buckets."""
        return self.state / "objects"

    @property
    def scratch(self) -> Path:
        """The engine's temporary folder, emptied at every start."""
        return self.state / "tmp"

    @property
    def engine_log(self) -> Path:
        """The engine's log."""
        return self.state / "engine.log"

    @property
    def engine_record(self) -> Path:
        """The record of the engine's process."""
        return self.state / "engine.json"

    @property
    def stripe_state(self) -> Path:
        """The state of the local Stripe, including its keys."""
        return self.state / "stripe"

    @property
    def stripe_log(self) -> Path:
        """The local Stripe's log."""
        return self.state / "stripe.log"

    @property
    def stripe_record(self) -> Path:
        """The record of the local Stripe's process."""
        return self.state / "stripe.json"

    @property
    def cdk_log(self) -> Path:
        """The log of the last CDK command."""
        return self.state / "cdk.log"

    @property
    def assembly(self) -> Path:
        """The synthesized templates."""
        return self.state / "cdk.out"

    @property
    def deployed(self) -> Path:
        """The record of the last deployment."""
        return self.state / "deployed.json"

    @property
    def variables(self) -> Path:
        """The file with the functions' variables for other programs."""
        return (self.root if self.state == self.tools else self.state) / ".env.local"

    @property
    def engine_lock(self) -> Path:
        """The lock of the engine's environment."""
        return self.root / "locks" / "engine.txt"

    @property
    def engine_version(self) -> str:
        """The version of the engine in its lock."""
        found = re.search(r"^ministack==(\S+)", self.engine_lock.read_text(), re.MULTILINE)
        if found is None:
            msg = f"{self.engine_lock} names no ministack"
            raise LocalError(msg)
        return found[1]


def wanted_port(environ: Mapping[str, str] = os.environ) -> int | None:
    """Return the port in `AINEXUS_PORT`; None if it is not set."""
    text = environ.get("AINEXUS_PORT", "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        msg = f"AINEXUS_PORT is {text!r}: it must be a number from 1024 to 65535"
        raise LocalError(msg)
    return int(text)
