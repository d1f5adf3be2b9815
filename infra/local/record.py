"""The record of the engine's process, so that no other process is ever ended."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local import process


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """A started process."""

    pid: int
    started: str
    """Distinguishes the process from later ones with the same number."""
    port: int
    version: str
    mark: str
    """The mark in its health check."""

    @property
    def is_running(self) -> bool:
        """Return whether this process still runs."""
        return process.is_running(self.pid, mark=self.started)

    def write(self, path: Path) -> None:
        """Save the record."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def read(path: Path) -> EngineRecord | None:
    """Return the record, or None if there is no readable one."""
    try:
        return EngineRecord(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def new_mark() -> str:
    """Return a mark for one start."""
    return f"ainexus-{secrets.token_hex(8)}"
