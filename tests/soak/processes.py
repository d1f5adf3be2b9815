"""The function processes of one local mesh."""

import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path
from threading import Event, Thread

_FUNCTION = re.compile(r"ministack-lambda-ainexus-local-(?P<function>[a-z-]+)-[^/]*/_worker\.py")


def function_processes(scratch: Path) -> dict[int, str]:
    """Return the function that each process of a mesh executes, by process id.

    Args:
        scratch: the folder that the engine of this mesh unpacks functions into; processes of other meshes are ignored.
    """
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(scratch) in command and (match := _FUNCTION.search(command)):
            found[int(folder.name)] = match["function"]
    return found


def kill(pid: int) -> bool:
    """End a process without warning; return whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


class Killer(Thread):
    """Kills a random function process at a fixed interval until it is stopped.

    Args:
        scratch: see `function_processes`.
        every_s: seconds between two kills.
        seed: of the choice.
    """

    def __init__(self, scratch: Path, *, every_s: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.killed: Counter[str] = Counter()
        self._scratch = scratch
        self._every_s = every_s
        self._random = random.Random(seed)  # noqa: S311 — a reproducible choice, nothing secret
        self._stopped = Event()

    def run(self) -> None:
        """Kill until stopped."""
        began = time.monotonic()
        for number in range(1, 1_000_000):
            if self._stopped.wait(max(0.0, began + number * self._every_s - time.monotonic())):
                return
            processes = function_processes(self._scratch)
            if processes and kill(pid := self._random.choice(sorted(processes))):
                self.killed[processes[pid]] += 1

    def stop(self) -> None:
        """Stop and wait for the thread."""
        self._stopped.set()
        self.join()
