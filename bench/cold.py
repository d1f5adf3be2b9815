"""Cold starts: CPU of a handler's imports in a new interpreter with its bundle, and the size of the bundle."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

_MEASURE = "import time; began = time.process_time(); import {module}; print((time.process_time() - began) * 1000)"
_LARGEST_IMPORTS = 5


def import_ms(python: Path, bundle: Path, module: str, environ: Mapping[str, str]) -> float:
    """Return the CPU time of importing the handler's module once."""
    command = [str(python), "-c", _MEASURE.format(module=module)]
    return round(float(_run(command, bundle, environ).stdout.splitlines()[-1]), 1)


def largest(python: Path, bundle: Path, module: str, environ: Mapping[str, str]) -> dict[str, float]:
    """Return the packages with the longest imports, in ms of wall time and including their own imports.

    `-X importtime` measures them.
    """
    import_log = _run([str(python), "-X", "importtime", "-c", f"import {module}"], bundle, environ).stderr
    rows = [line.removeprefix("import time:").split("|") for line in import_log.splitlines() if line.count("|") == 2]
    import_us = {row[2].strip(): int(row[1]) for row in rows if row[1].strip().isdecimal()}
    tops = {name: time for name, time in import_us.items() if "." not in name}
    ranked = sorted(tops.items(), key=lambda one: -one[1])[: _LARGEST_IMPORTS + 1]
    return {name: round(time / 1_000, 1) for name, time in ranked if name != module.split(".")[0]}


def size_mb(bundle: Path) -> float:
    """Return the unpacked size."""
    return round(sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) / 1e6, 1)


def _run(command: list[str], bundle: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {**environ, "PYTHONPATH": str(bundle)}
    return subprocess.run(command, cwd=bundle, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 — our own program
