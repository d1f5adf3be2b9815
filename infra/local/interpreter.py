"""The choice of the Python interpreter for the mesh."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PREFERRED = (3, 13)
"""The Python version of the functions in AWS."""

OLDEST = (3, 11)

Version = tuple[int, int]


def version_of(interpreter: Path) -> Version | None:
    """Return the version that an interpreter reports when it runs; None if it does not work.

    The interpreter has to be run: version managers put commands on the PATH that only fail.
    """
    code = "import sys; print(*sys.version_info[:2])"
    try:
        completed = subprocess.run(  # noqa: S603 — a Python of this machine
            [str(interpreter), "-I", "-c", code], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    numbers = completed.stdout.split()
    return (int(numbers[0]), int(numbers[1])) if completed.returncode == 0 and len(numbers) == 2 else None


def best(
    candidates: Iterable[Path], *, running: Path, find_version: Callable[[Path], Version | None] = version_of
) -> Path:
    """Return the first working candidate of the preferred version, else the running interpreter."""
    return next((found for found in candidates if find_version(found) == PREFERRED), running)


def candidates(home: Path = Path.home(), *, path: str | None = None) -> Iterator[Path]:  # noqa: B008 — one home a process
    """Return the paths where a preferred interpreter may be installed."""
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
    """Return the running interpreter, outside of any virtual environment."""
    return Path(getattr(sys, "_base_executable", None) or os.path.realpath(sys.executable))
