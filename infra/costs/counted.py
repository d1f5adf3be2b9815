"""The last measurement of a run: calls by operation, and CPU by function."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.bundle.target import ROOT

RESULTS = ROOT / "bench" / "results" / "latest.json"
BENCHMARK_SIDE = "run, simulated"
"""A waited run without an upstream, so that only our own work is measured."""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """The measurement of one run, from the request to the counted usage."""

    at: str
    """The time of the measurement."""
    calls: Mapping[str, float]
    """AWS calls by service and operation. Calls of a batch are divided among its runs."""
    cpu_ms: Mapping[str, float]
    """CPU time by function, on the machine of the measurement."""


def read_measurement(path: Path = RESULTS) -> MeasuredRun:
    """Read the last measurement."""
    results = json.loads(path.read_text())
    side = results["sides"][BENCHMARK_SIDE]
    return MeasuredRun(results["at"], side["aws_calls_by_operation"], side["cpu_ms_by_process"])
