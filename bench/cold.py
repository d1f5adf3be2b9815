"""What it takes to start a function: CPU of its imports in a fresh interpreter of its bundle, and the bundle's size."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

_MEASURE = "import time; began = time.process_time(); import {module}; print((time.process_time() - began) * 1000)"
_LARGEST = 5


def import_ms(python: Path, bundle: Path, module: str, environ: Mapping[str, str]) -> float:
    """CPU of importing the handler's module, once."""
    asked = [str(python), "-c", _MEASURE.format(module=module)]
    return round(float(_run(asked, bundle, environ).stdout.splitlines()[-1]), 1)


def largest(python: Path, bundle: Path, module: str, environ: Mapping[str, str]) -> dict[str, float]:
    """The packages that take most of it, in ms of wall time, as `-X importtime` says; each with what it imports."""
    said = _run([str(python), "-X", "importtime", "-c", f"import {module}"], bundle, environ).stderr
    rows = [line.removeprefix("import time:").split("|") for line in said.splitlines() if line.count("|") == 2]
    whole = {row[2].strip(): int(row[1]) for row in rows if row[1].strip().isdecimal()}
    tops = {name: time for name, time in whole.items() if "." not in name}
    ranked = sorted(tops.items(), key=lambda one: -one[1])[: _LARGEST + 1]
    return {name: round(time / 1_000, 1) for name, time in ranked if name != module.split(".")[0]}


def size_mb(bundle: Path) -> float:
    """Unpacked."""
    return round(sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) / 1e6, 1)


def _run(asked: list[str], bundle: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    known = {**environ, "PYTHONPATH": str(bundle)}
    return subprocess.run(asked, cwd=bundle, env=known, capture_output=True, text=True, check=True)  # noqa: S603 — our own
