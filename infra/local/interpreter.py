"""Which Python the mesh runs on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PREFERRED = (3, 13)
"""What the functions run on in AWS."""

OLDEST = (3, 11)

Version = tuple[int, int]


def version_of(interpreter: Path) -> Version | None:
    """The version that an interpreter has when it is run; None when it does not work.

    Only running it tells: version managers put commands on the PATH that do nothing but fail.
    """
    asked = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run(  # noqa: S603 — a Python of this machine
            [str(interpreter), "-I", "-c", asked], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    numbers = answer.stdout.split()
    return (int(numbers[0]), int(numbers[1])) if answer.returncode == 0 and len(numbers) == 2 else None


def best(candidates: Iterable[Path], *, running: Path, ask: Callable[[Path], Version | None] = version_of) -> Path:
    """The first candidate that works and has the preferred version, else the one that runs now."""
    return next((found for found in candidates if ask(found) == PREFERRED), running)


def candidates(home: Path = Path.home(), *, path: str | None = None) -> Iterator[Path]:  # noqa: B008 — one home a process
    """Where a preferred Python may lie."""
    name = ".".join(str(part) for part in PREFERRED)
    if sys.version_info[:2] == PREFERRED:
        yield Path(sys.executable)
    if found := shutil.which(f"python{name}", path=path):
        yield Path(found)
    managed = home / ".pyenv" / "versions"
    yield from sorted(
        managed.glob(f"{name}*/bin/python{name}"), key=lambda found: _patch(found.parts[-3]), reverse=True
    )
    yield from (Path(folder) / f"python{name}" for folder in ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"))


def _patch(version: str) -> int:
    last = version.rpartition(".")[2]
    return int(last) if last.isdecimal() else -1


def base() -> Path:
    """The interpreter that runs now, outside of any virtual environment."""
    return Path(getattr(sys, "_base_executable", None) or os.path.realpath(sys.executable))
