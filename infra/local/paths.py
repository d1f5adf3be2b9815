"""Where the local mesh keeps its things. Two checkouts share nothing."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import LocalError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

DEFAULT_PORT = 4566


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one mesh.

    Programs and built bundles belong to the checkout; the state may lie elsewhere, so that a second mesh
    can run beside the first (the journeys of the tests do so).
    """

    root: Path
    state: Path

    @classmethod
    def of(cls, environ: Mapping[str, str], *, root: Path = ROOT) -> "Home":
        """The home of this checkout, or the one that `AINEXUS_HOME` names."""
        named = environ.get("AINEXUS_HOME")
        return cls(root=root, state=Path(named).resolve() if named else root / ".ainexus")

    @property
    def tools(self) -> Path:
        """Programs that are installed once for the checkout."""
        return self.root / ".ainexus"

    @property
    def uv(self) -> Path:
        """The installer of everything else."""
        return self.tools / "uv" / "bin" / "uv"

    @property
    def engine_environment(self) -> Path:
        """The engine's own virtual environment."""
        return self.tools / "engine"

    @property
    def engine_python(self) -> Path:
        """The interpreter of the engine, and of the functions in it."""
        return self.engine_environment / "bin" / "python"

    @property
    def environment(self) -> Path:
        """The virtual environment of everything else."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter of everything else."""
        return self.environment / "bin" / "python"

    @property
    def engine_state(self) -> Path:
        """What the engine writes at a clean stop."""
        return self.state / "state"

    @property
    def objects(self) -> Path:
        """The contents of buckets."""
        return self.state / "objects"

    @property
    def scratch(self) -> Path:
        """The engine's own temporary folder, emptied at every start."""
        return self.state / "tmp"

    @property
    def engine_log(self) -> Path:
        """What the engine says."""
        return self.state / "engine.log"

    @property
    def engine_record(self) -> Path:
        """Which process is the engine."""
        return self.state / "engine.json"

    @property
    def stripe_state(self) -> Path:
        """What the local Stripe keeps, its keys among it."""
        return self.state / "stripe"

    @property
    def stripe_log(self) -> Path:
        """What the local Stripe says."""
        return self.state / "stripe.log"

    @property
    def stripe_record(self) -> Path:
        """Which process is the local Stripe."""
        return self.state / "stripe.json"

    @property
    def cdk_log(self) -> Path:
        """What the CDK said last."""
        return self.state / "cdk.log"

    @property
    def assembly(self) -> Path:
        """The synthesized templates."""
        return self.state / "cdk.out"

    @property
    def deployed(self) -> Path:
        """What was deployed last."""
        return self.state / "deployed.json"

    @property
    def variables(self) -> Path:
        """The functions' variables for programs of one's own."""
        return (self.root if self.state == self.tools else self.state) / ".env.local"

    @property
    def engine_lock(self) -> Path:
        """What the engine's environment consists of."""
        return self.root / "locks" / "engine.txt"

    @property
    def engine_version(self) -> str:
        """The version of the engine that this checkout wants."""
        found = re.search(r"^ministack==(\S+)", self.engine_lock.read_text(), re.MULTILINE)
        if found is None:
            msg = f"{self.engine_lock} names no ministack"
            raise LocalError(msg)
        return found[1]


def wanted_port(environ: Mapping[str, str] = os.environ) -> int | None:
    """The port that `AINEXUS_PORT` asks for; None when it asks for none."""
    said = environ.get("AINEXUS_PORT", "").strip()
    if not said:
        return None
    if not said.isdecimal() or not 1024 <= int(said) <= 65535:
        msg = f"AINEXUS_PORT is {said!r}: it must be a number from 1024 to 65535"
        raise LocalError(msg)
    return int(said)
