"""Processes on this machine, recognized by number and start time."""

import os
import signal
import subprocess
import time
from pathlib import Path

_PROC = Path("/proc")


def start_mark(pid: int) -> str | None:
    """Return a mark that distinguishes a process from later ones with the same number; None if it does not run."""
    if (_PROC / "self" / "stat").exists():
        return _linux_mark(pid)
    listed = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607 — where ps lies differs
    state, _, started = listed.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def _linux_mark(pid: int) -> str | None:
    try:
        # The name in brackets may contain spaces; state and start time follow as fields 3 and 22.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The first thread may be a zombie while others still run and keep files and the port open.
    has_ended = fields[0] == "Z" and int(fields[17]) <= 1
    return None if has_ended else fields[19]


def is_running(pid: int, *, mark: str) -> bool:
    """Return whether the process with this number still has this mark."""
    return start_mark(pid) == mark


def end(pid: int, *, mark: str, timeout_s: float) -> bool:
    """Send SIGTERM to a process and wait; return whether it ended."""
    if not is_running(pid, mark=mark):
        return True
    os.kill(pid, signal.SIGTERM)
    return wait_until_ended(pid, mark=mark, timeout_s=timeout_s)


def end_now(pid: int, *, mark: str) -> bool:
    """Kill a process that did not react to SIGTERM."""
    if is_running(pid, mark=mark):
        os.kill(pid, signal.SIGKILL)
    return wait_until_ended(pid, mark=mark, timeout_s=5)


def request_save(pid: int) -> None:
    """Signal the engine to save its state."""
    os.kill(pid, signal.SIGUSR1)


def wait_until_ended(pid: int, *, mark: str, timeout_s: float) -> bool:
    """Wait for a process to end; return whether it ended."""
    until = time.monotonic() + timeout_s
    while is_running(pid, mark=mark):
        if time.monotonic() > until:
            return False
        _reap(pid)
        time.sleep(0.05)
    return True


def _reap(pid: int) -> None:
    """Reap a child that ended. The system reaps other processes."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
