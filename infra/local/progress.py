"""Progress lines with the duration of each step."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class ConsoleProgress:
    """Writes a line when a step begins and when it ends. It uses standard error, so that results stay clean."""

    out: TextIO = field(default_factory=lambda: sys.stderr)

    def note(self, text: str) -> None:
        """Write a single line."""
        self.out.write(f"  {text}\n")
        self.out.flush()

    @contextmanager
    def step(self, doing: str) -> Generator[None]:
        """Write a line before and after a step. A step that fails has no second line."""
        began = time.monotonic()
        self.out.write(f"→ {doing} …\n")
        self.out.flush()
        yield
        self.note(f"done in {time.monotonic() - began:.1f} s")
