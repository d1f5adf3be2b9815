"""Lines that say what is being done, and how long it took."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class Progress:
    """Writes a line when a step begins and one when it is done; to standard error, so that answers stay clean."""

    out: TextIO = field(default_factory=lambda: sys.stderr)

    def note(self, text: str) -> None:
        """One line by itself."""
        self.out.write(f"  {text}\n")
        self.out.flush()

    @contextmanager
    def step(self, doing: str) -> Generator[None]:
        """Say what is begun, and that it is done; a step that fails has no second line."""
        began = time.monotonic()
        self.out.write(f"→ {doing} …\n")
        self.out.flush()
        yield
        self.note(f"done in {time.monotonic() - began:.1f} s")
