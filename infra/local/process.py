"""Processes of this machine: whether one still is the one that was started."""

import os
import signal
import subprocess
import time
from pathlib import Path

_PROC = Path("/proc")


def start_mark(pid: int) -> str | None:
    """What tells a process from a later one with the same number; None when there is none."""
    if (_PROC / "self" / "stat").exists():
        return _linux_mark(pid)
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 — where ps lies differs
    state, _, started = listed.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def _linux_mark(pid: int) -> str | None:
    try:
        # The name in brackets may hold spaces; state and start time follow as fields 3 and 22.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Its first thread may be a zombie while others still end; until then it holds its files and its port.
    has_ended = fields[0] == "Z" and int(fields[17]) <= 1
    return None if has_ended else fields[19]


def is_running(pid: int, *, mark: str) -> bool:
    """Whether the process with this number is still the one with this mark."""
    return start_mark(pid) == mark


def end(pid: int, *, mark: str, patience_s: float) -> bool:
    """Ask a process to end, and wait for it; True when it has ended."""
    if not is_running(pid, mark=mark):
        return True
    os.kill(pid, signal.SIGTERM)
    return wait_until_ended(pid, mark=mark, patience_s=patience_s)


def end_now(pid: int, *, mark: str) -> bool:
    """End a process that did not listen."""
    if is_running(pid, mark=mark):
        os.kill(pid, signal.SIGKILL)
    return wait_until_ended(pid, mark=mark, patience_s=5)


def ask_to_save(pid: int) -> None:
    """Ask the engine to write its state down."""
    os.kill(pid, signal.SIGUSR1)


def wait_until_ended(pid: int, *, mark: str, patience_s: float) -> bool:
    """Wait for a process to end; True when it has ended."""
    until = time.monotonic() + patience_s
    while is_running(pid, mark=mark):
        if time.monotonic() > until:
            return False
        _reap(pid)
        time.sleep(0.05)
    return True


def _reap(pid: int) -> None:
    """Take note of the end of a child; of others the system does."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
