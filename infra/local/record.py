"""The note of which process is the engine, so that no other is ever ended."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local import process


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """One start of the engine."""

    pid: int
    started: str
    """Tells the process from a later one with the same number."""
    port: int
    version: str
    mark: str
    """What its health answer carries."""

    @property
    def is_running(self) -> bool:
        """Whether that very process still runs."""
        return process.is_running(self.pid, mark=self.started)

    def write(self, path: Path) -> None:
        """Keep the note."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def read(path: Path) -> EngineRecord | None:
    """The note, or None when there is none that can be read."""
    try:
        return EngineRecord(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def new_mark() -> str:
    """A mark for one start."""
    return f"ainexus-{secrets.token_hex(8)}"
