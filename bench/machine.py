"""Facts of this machine, and the CPU time of its processes."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def facts() -> dict[str, object]:
    """Return the facts of this machine that matter for comparisons with others."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu[0].partition(": ")[2] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_1_min": round(os.getloadavg()[0], 1),
    }


def cpu_ms(pids: Iterable[int]) -> float:
    """Return the total CPU time of these processes, user and system. The resolution is one clock tick per process."""
    return sum(_cpu_ms(pid) for pid in pids)


def _cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000 / _TICKS_PER_S


def children(pid: int) -> list[int]:
    """Return the child processes of this one."""
    tasks = Path(f"/proc/{pid}/task")
    found = (task / "children" for task in tasks.iterdir())
    return [int(child) for listed in found for child in _read(listed).split()]


def _read(path: Path) -> str:
    """Return the content of a file in /proc; empty if its thread has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def family(pid: int) -> list[int]:
    """Return this process and all of its descendants."""
    return [pid, *(below for child in children(pid) for below in family(child))]


def variables(pid: int) -> dict[str, str]:
    """Return the environment with which a process was started."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
